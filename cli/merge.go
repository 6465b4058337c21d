package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"

	cli "github.com/urfave/cli/v2"

	"github.com/robust-transfer/rtx/featurize"
)

func mergeCommand(e *env) *cli.Command {
	return &cli.Command{
		Name:      "merge",
		Usage:     "join the shards of a feature set",
		ArgsUsage: "DIR...",
		Description: "DIR is a shard that featurize --shard made, or the folder that holds all of them. The\n" +
			"result is the same as if there had been no shards; OUT may be the folder of the shards.",
		Flags: []cli.Flag{
			text("out", "", "the `FOLDER` of the feature set", "o"),
			text("format", "", "`KIND` of file for the features: npy, npz, safetensors or parquet (default: the shards')"),
			jsonFlag(),
			toggle("quiet", "no notes", "q"),
			toggle("overwrite", "start over where OUT holds something else"),
		},
		Action: func(c *cli.Context) error { return e.merge(c) },
	}
}

func (e *env) merge(c *cli.Context) error {
	if err := e.begin(c); err != nil {
		return err
	}
	const usage = "rtx merge FEATURES -o FEATURES, where FEATURES holds the folders shard-0-of-4 and so on"
	if c.NArg() == 0 {
		return &usageError{msg: "no shards are named", hint: usage}
	}
	if c.String("out") == "" {
		return &usageError{msg: "--out is missing", hint: usage}
	}
	if v := c.String("format"); v != "" && !slices.Contains(featurize.Formats, v) {
		return &usageError{msg: fmt.Sprintf("--format is %q, expected %s", v, strings.Join(featurize.Formats, ", "))}
	}
	m := featurize.Merge{
		Dirs: c.Args().Slice(), Out: c.String("out"), Format: c.String("format"), Overwrite: c.Bool("overwrite"),
		Describe: func(p *featurize.Provenance) { p.Version = buildVersion() },
	}
	s, err := m.Run(c.Context)
	if errors.Is(err, fs.ErrNotExist) {
		return hinted{fmt.Errorf("%w: %w", err, featurize.ErrData), usage}
	}
	if err != nil {
		return err
	}
	if e.json {
		e.print(e.result("rtx.merge/1", s.Status, m.Out, object{{"samples", s.Samples}, {"dim", s.Dim()}, {"skipped", s.Skipped}}))
		return nil
	}
	e.note("%d samples, %d skipped%s", s.Samples, s.Skipped, map[bool]string{true: "; nothing to do"}[s.Status == "cached"])
	fmt.Fprintln(e.stdout, m.Out)
	return nil
}

// shardOf is the share that a command takes: what the flag says, or else what
// a Slurm array says in its environment. nil stands for all.
func shardOf(flag string, getenv func(string) string) (s *featurize.Shard, from string, err error) {
	if flag == "none" {
		return nil, "", nil
	}
	if n, ok := strings.CutPrefix(flag, "/"); ok {
		index, name, err := shardIndex(getenv)
		if err != nil {
			return nil, "", err
		}
		return parseShard(fmt.Sprintf("%d/%s", index, n), "--shard "+flag+" and "+name)
	}
	if flag != "" {
		return parseShard(flag, "--shard")
	}
	if getenv("SLURM_ARRAY_TASK_COUNT") == "" || getenv("SLURM_ARRAY_TASK_ID") == "" || getenv("SLURM_ARRAY_TASK_COUNT") == "1" {
		return nil, "", nil
	}
	index, name, err := shardIndex(getenv)
	if err != nil {
		return nil, "", err
	}
	return parseShard(fmt.Sprintf("%d/%s", index, getenv("SLURM_ARRAY_TASK_COUNT")), name)
}

func parseShard(text, from string) (*featurize.Shard, string, error) {
	s, err := featurize.ParseShard(text)
	if err != nil {
		return nil, "", &usageError{msg: from + ": " + err.Error(), hint: "--shard none takes all"}
	}
	if s.Count == 1 {
		return nil, "", nil
	}
	return &s, from, nil
}

// shardIndex is the place of this task among those of its array, from 0 on.
func shardIndex(getenv func(string) string) (index int, name string, err error) {
	number := func(name string, otherwise int) int {
		text := getenv(name)
		if text == "" {
			return otherwise
		}
		n, e := strconv.Atoi(text)
		if e != nil {
			err = &usageError{msg: fmt.Sprintf("%s is %q, expected a number", name, text)}
		}
		return n
	}
	if getenv("SLURM_ARRAY_TASK_ID") != "" {
		id, first, step := number("SLURM_ARRAY_TASK_ID", 0), number("SLURM_ARRAY_TASK_MIN", 0), number("SLURM_ARRAY_TASK_STEP", 1)
		step = max(step, 1)
		last, count := number("SLURM_ARRAY_TASK_MAX", -1), number("SLURM_ARRAY_TASK_COUNT", 0)
		if err == nil && last >= 0 && count > 0 && (last-first)/step+1 != count {
			err = &usageError{
				msg:  fmt.Sprintf("the Slurm array has %d tasks from %d to %d, so SLURM_ARRAY_TASK_ID does not tell their shares", count, first, last),
				hint: "--shard I/N names the share; or submit the whole array again: what is done is not done twice",
			}
		}
		return (id - first) / step, "SLURM_ARRAY_TASK_ID", err
	}
	if getenv("JOB_COMPLETION_INDEX") != "" {
		return number("JOB_COMPLETION_INDEX", 0), "JOB_COMPLETION_INDEX", err
	}
	return 0, "", &usageError{msg: "--shard /N without an index", hint: "SLURM_ARRAY_TASK_ID or JOB_COMPLETION_INDEX gives it, or --shard I/N"}
}
