package cli

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/robust-transfer/rtx/finetune"
)

// backboneNames are what tables and folders call the models: their short names.
// Those that would have the same one get as much more of their paths as tells them
// apart: the extension, or the folders above, so that a/net.onnx and b/net.onnx
// become a-net and b-net. A model that is named twice gets a number.
func backboneNames(models []string) []string {
	same := map[string][]string{} // the models of a short name, each once
	for _, model := range models {
		if name := backboneName(model); !slices.Contains(same[name], model) {
			same[name] = append(same[name], model)
		}
	}
	var names []string
	for _, model := range models {
		name := apart(model, same[backboneName(model)])
		numbered := name
		for n := 2; slices.Contains(names, numbered); n++ {
			numbered = name + "-" + strconv.Itoa(n)
		}
		names = append(names, numbered)
	}
	return names
}

// apart is the shortest name of a model that no other of the models has.
func apart(model string, models []string) string {
	const most = 8 // folders
	for detail := range most {
		names := map[string]bool{}
		for _, m := range models {
			names[detailed(m, detail)] = true
		}
		if len(names) == len(models) {
			return detailed(model, detail)
		}
	}
	return backboneName(model)
}

// detailed is the name of a model with more of its path: with detail 1 its extension,
// and from 2 on so many folders less one.
func detailed(model string, detail int) string {
	name := backboneName(model)
	switch detail {
	case 0:
		return name
	case 1:
		return name + filepath.Ext(model)
	}
	full, err := filepath.Abs(model)
	if err != nil {
		full = model
	}
	folders := strings.Split(filepath.ToSlash(filepath.Dir(full)), "/")
	if name == runName(full) {
		folders = folders[:max(0, len(folders)-2)] // the name is that of the run folder
	}
	folders = slices.DeleteFunc(folders, func(f string) bool { return f == "" })
	return strings.Join(append(folders[max(0, len(folders)-detail+1):], name), "-")
}

// backboneName is what tables call a model: its file without extension, its
// catalogue name, or the run folder whose weights it is.
func backboneName(model string) string {
	if _, err := os.Stat(model); err != nil {
		return filepath.Base(model) // a name, which may have a dot: resnet50_l2_eps0.5
	}
	if full, err := filepath.Abs(model); err == nil {
		if run := runName(full); run != "" {
			return run
		}
	}
	return strings.TrimSuffix(filepath.Base(model), filepath.Ext(model))
}

// runName is the name of the run folder whose weights a file holds, with "-last" for
// the last ones; "" where it holds none.
func runName(file string) string {
	dir := filepath.Dir(file)
	if filepath.Base(dir) != "weights" {
		return ""
	}
	switch run := filepath.Base(filepath.Dir(dir)); filepath.Base(file) {
	case filepath.Base(finetune.BestFile):
		return run
	case filepath.Base(finetune.LastFile):
		return run + "-last"
	}
	return ""
}
