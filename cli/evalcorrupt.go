package cli

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	cli "github.com/urfave/cli/v2"

	"github.com/robust-transfer/rtx/featurize"
	"github.com/robust-transfer/rtx/featurize/corrupt"
	"github.com/robust-transfer/rtx/featurize/output"
)

// corruptOptions say which corruptions a model is evaluated under.
type corruptOptions struct {
	Corrupt         string `flag:"corrupt"`
	CorruptBaseline string `flag:"corrupt-baseline"`
}

func corruptFlags() []cli.Flag {
	return []cli.Flag{
		text("corrupt", "", "evaluate under `CORRUPTIONS` as well: all, noise, blur, weather, digital, or names such as fog and fog:3 (its severity, 1 to 5), with commas between them"),
		text("corrupt-baseline", "", "the eval.json `FILE` of another model on the same images: tell corruption errors relative to its errors (mCE)"),
	}
}

// corruptState is the file in which an unfinished job keeps what is done.
const corruptState = "corruptions.jsonl"

// corruptFiles are the results.
var corruptFiles = []string{"corruptions.csv", "corruptions.svg", "corruptions.html"}

// plan is what --corrupt asks for, in the order of published tables; nil: nothing.
func (o corruptOptions) plan() ([]corrupt.Corruption, error) {
	if o.Corrupt == "" {
		if o.CorruptBaseline != "" {
			return nil, &usageError{msg: "--corrupt-baseline goes with --corrupt", hint: "--corrupt all evaluates under all corruptions"}
		}
		return nil, nil
	}
	var wanted []corrupt.Corruption
	for word := range strings.SplitSeq(o.Corrupt, ",") {
		name, severity, one := strings.Cut(strings.TrimSpace(word), ":")
		n, err := strconv.Atoi(severity)
		if one && (err != nil || n < 1 || n > corrupt.Severities) {
			return nil, &usageError{msg: fmt.Sprintf("--corrupt has %q, expected a severity of 1 to %d", word, corrupt.Severities), hint: "fog:3 is fog at severity 3, fog is all five"}
		}
		known := false
		for _, k := range corrupt.Kinds() {
			if name != "all" && name != k.Group() && name != string(k) {
				continue
			}
			known = true
			for s := 1; s <= corrupt.Severities; s++ {
				if c := (corrupt.Corruption{Kind: k, Severity: s}); (!one || s == n) && !slices.Contains(wanted, c) {
					wanted = append(wanted, c)
				}
			}
		}
		if !known {
			return nil, unknownCorruption(name)
		}
	}
	kinds := corrupt.Kinds()
	slices.SortFunc(wanted, func(a, b corrupt.Corruption) int {
		return cmp.Or(cmp.Compare(slices.Index(kinds, a.Kind), slices.Index(kinds, b.Kind)), cmp.Compare(a.Severity, b.Severity))
	})
	return wanted, nil
}

func unknownCorruption(name string) error {
	names := []string{"all", "noise", "blur", "weather", "digital"}
	for _, k := range corrupt.Kinds() {
		names = append(names, string(k))
	}
	return &usageError{msg: fmt.Sprintf("--corrupt has %q, which is no corruption", name), hint: suggest(name, names, "") + " (" + strings.Join(names, ", ") + ")"}
}

// digestOf is the SHA-256 of the baseline; "" for none.
func digestOf(file string) (string, error) {
	if file == "" {
		return "", nil
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return "", hinted{fmt.Errorf("--corrupt-baseline: %w: %w", err, featurize.ErrData), "it is the eval.json of an evaluation with --corrupt"}
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:]), nil
}

// corruptionScore is a model's figure under a corruption, as a line of an unfinished
// job's state.
type corruptionScore struct {
	Kind     corrupt.Kind `json:"kind"`
	Severity int          `json:"severity"`
	Value    share        `json:"value"`
}

// corruptionKey tells evaluations under corruptions apart: "" for none.
func corruptionKey(plan []corrupt.Corruption) string {
	if len(plan) == 0 {
		return ""
	}
	var names []string
	for _, c := range plan {
		names = append(names, fmt.Sprintf("%s:%d", c.Kind, c.Severity))
	}
	return fmt.Sprintf("%s, seed %d, %s", plan[0].Table, plan[0].Seed, strings.Join(names, " "))
}

// underCorruptions evaluates under each corruption that an earlier command has not done.
// folder keeps what is done; nil: nothing does.
func (e *env) underCorruptions(ctx context.Context, folder *output.Folder, plan []corrupt.Corruption, evaluate func(corrupt.Corruption) (share, error)) ([]corruptionScore, error) {
	var done []corruptionScore
	keep := func(corruptionScore) error { return nil }
	if folder != nil {
		file, err := folder.OpenState(corruptState)
		if err != nil {
			return nil, err
		}
		defer file.Close()
		if done, err = readScores(file); err != nil {
			return nil, err
		}
		keep = func(s corruptionScore) error {
			line, err := json.Marshal(s)
			if err == nil {
				_, err = file.Write(append(line, '\n'))
			}
			if err != nil {
				return fmt.Errorf("output: %w", err)
			}
			return nil
		}
		if len(done) > 0 {
			e.note("going on after %d of %d corruptions", len(done), len(plan))
		}
	}
	for _, c := range plan[min(len(done), len(plan)):] {
		value, err := evaluate(c)
		if err != nil {
			return done, err
		}
		one := corruptionScore{c.Kind, c.Severity, value}
		if err := keep(one); err != nil {
			return done, err
		}
		done = append(done, one)
	}
	return done, nil
}

// readScores reads the lines of the state, which are in the order of the plan. A line
// that was cut off is dropped.
func readScores(file *os.File) (scores []corruptionScore, err error) {
	data, err := io.ReadAll(file)
	if err != nil {
		return nil, fmt.Errorf("output: %w", err)
	}
	whole := int64(0)
	for line := range strings.SplitAfterSeq(string(data), "\n") {
		var one corruptionScore
		if !strings.HasSuffix(line, "\n") || json.Unmarshal([]byte(line), &one) != nil {
			break
		}
		whole += int64(len(line))
		scores = append(scores, one)
	}
	if err := errors.Join(file.Truncate(whole), seekEnd(file)); err != nil {
		return nil, fmt.Errorf("output: %w", err)
	}
	return scores, nil
}
