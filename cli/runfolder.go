package cli

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"

	"github.com/robust-transfer/rtx/featurize/output"
	"github.com/robust-transfer/rtx/finetune"
	"github.com/robust-transfer/rtx/finetune/augment"
)

// checkedFile is what looking at the images has found.
const checkedFile = "state/check.json"

// runLayout is that of a run. The folders of its trainings hold the same files and
// no run.json.
var runLayout = output.Layout{
	Kind: "run", State: "state",
	Files: []string{"args.yaml", finetune.MetricsFile, finetune.BestFile, finetune.LastFile, "results.csv", "curves.svg", output.RunFile},
	Parts: []string{"seed-*", "lr-*", "seed-*/lr-*"},
}

// replaceFile gives a file new contents, or leaves the old ones.
func replaceFile(name string, data []byte) error {
	return output.WriteFile(context.Background(), name, output.Bytes(data))
}

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
