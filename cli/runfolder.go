package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/goccy/go-yaml"
	cli "github.com/urfave/cli/v2"

	"github.com/robust-transfer/rtx/featurize"
	"github.com/robust-transfer/rtx/featurize/output"
	"github.com/robust-transfer/rtx/finetune"
	"github.com/robust-transfer/rtx/finetune/augment"
)

// checkedFile is what looking at the images has found.
const checkedFile = "state/check.json"

// runLayout is that of a run.
var runLayout = finetune.RunLayout("args.yaml", featurize.ImagesFile, "results.csv", "curves.svg", eventsFile, useFile)

// knownCheck is what an earlier command found in the images, nil where nothing
// is known.
func knownCheck(dir string) *augment.Check {
	var c augment.Check
	data, err := os.ReadFile(filepath.Join(dir, checkedFile))
	if err != nil || json.Unmarshal(data, &c) != nil {
		return nil
	}
	return &c
}

// setFlagsOfRun sets the flags as args.yaml of the run that --resume names has
// them, but for those that are given.
func setFlagsOfRun(c *cli.Context) error {
	dir := c.String("resume")
	if dir == "" {
		return nil
	}
	data, err := os.ReadFile(filepath.Join(dir, "args.yaml"))
	if err != nil {
		return &usageError{msg: fmt.Sprintf("--resume %q is no run: %v", dir, err), hint: "name the --out of an earlier rtx " + c.Command.Name}
	}
	var settings map[string]any
	if err := yaml.Unmarshal(data, &settings); err != nil {
		return &usageError{msg: fmt.Sprintf("--resume %q: args.yaml: %v", dir, err)}
	}
	if out := c.String("out"); out != "" && filepath.Clean(out) != filepath.Clean(dir) {
		return &usageError{msg: fmt.Sprintf("--resume is %q and --out %q, expected one folder", dir, out), hint: "--resume alone goes on with a run"}
	}
	settings["out"] = dir
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		if c.IsSet(name) || name == "resume" || findFlag(c.Command.Flags, name) == nil {
			continue
		}
		values := []any{settings[name]}
		if list, ok := settings[name].([]any); ok {
			values = list
		}
		for _, v := range values {
			if err := c.Set(name, fmt.Sprint(v)); err != nil {
				return &usageError{msg: fmt.Sprintf("--resume %q: args.yaml: %s: %v", dir, name, err)}
			}
		}
	}
	if c.String("model") == "" { // args.yaml is that of another verb
		return &usageError{msg: fmt.Sprintf("--resume %q is no run: its args.yaml names no model", dir), hint: "name the --out of an earlier rtx " + c.Command.Name}
	}
	return nil
}

// replace gives a file of the run's folder new contents, or leaves the old ones.
func (t *finetuning) replace(name string, data []byte) error {
	return t.folder.Write(context.Background(), output.Content{Name: name, Write: output.Bytes(data)})
}

// record writes what a run begins with: the images and the arguments.
func (t *finetuning) record() error {
	check, err := json.Marshal(t.data.Check())
	if err != nil {
		return err
	}
	var images bytes.Buffer
	if err := t.data.WriteImages(&images); err != nil {
		return err
	}
	return errors.Join(t.replace(checkedFile, check), t.replace(featurize.ImagesFile, images.Bytes()), t.replace("args.yaml", t.args))
}

// begun opens the run's folder and returns what is there already of this
// command, nil where there is something to do.
func (t *finetuning) begun() (*finetuneResult, error) {
	var err error
	if t.folder, err = output.Open(t.out, runLayout); err != nil {
		return nil, err
	}
	t.folder.Keep(append(t.model.Files(), t.Data, t.o.Head, t.env.config)...)
	var found *finetuneResult
	if err = t.folder.Begin(t.runSettings(), t.o.Overwrite); err == nil && t.folder.Done() {
		found, err = readFinetuneResult(t.out)
	}
	if found == nil && err == nil {
		err = t.record()
	}
	if err != nil {
		t.folder.Close()
		return nil, err
	}
	return found, nil
}
