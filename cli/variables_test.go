package cli

import (
	"bytes"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	cli "github.com/urfave/cli/v2"
)

// sameMeaning are flags whose descriptions differ from verb to verb, though what they
// say is the same.
var sameMeaning = strings.Fields("model data labels arch batch-size bn from precision verify format overwrite quiet index seed seeds root")

// TestVariables wants each variable to set flags of one name alone, each verb to have
// a variable of its own for each flag, and a decision on every flag that two verbs
// describe differently.
func TestVariables(t *testing.T) {
	flagOf, usage := map[string]string{}, map[string]map[string]bool{}
	var walk func(verbs []*cli.Command, path string)
	walk = func(verbs []*cli.Command, path string) {
		for _, c := range verbs {
			verb := strings.TrimPrefix(path+" "+c.Name, " ")
			for _, f := range c.Flags {
				name, doc := f.Names()[0], f.(cli.DocGenerationFlag)
				vars := doc.GetEnvVars()
				if own := "RTX_" + strings.ToUpper(strings.NewReplacer(" ", "_", "-", "_").Replace(verb+"_"+name)); len(vars) == 0 || vars[0] != own {
					t.Errorf("rtx %s --%s is set by %v, want %s first", verb, name, vars, own)
				}
				for _, v := range vars {
					if other := flagOf[v]; other != "" && other != name {
						t.Errorf("%s sets --%s and --%s", v, other, name)
					}
					flagOf[v] = name
				}
				if slices.Contains(vars, variable(name)) {
					if usage[name] == nil {
						usage[name] = map[string]bool{}
					}
					usage[name][doc.GetUsage()] = true
				}
			}
			walk(c.Subcommands, verb)
		}
	}
	walk(commands(&env{}), "")
	for name, texts := range usage {
		if len(texts) > 1 && !slices.Contains(sameMeaning, name) {
			t.Errorf("--%s is described in %d ways, and %s sets all: %v", name, len(texts), variable(name), texts)
		}
	}
}

// TestVariablesApart sets variables that are meant for one verb and runs others.
func TestVariablesApart(t *testing.T) {
	run := func(args ...string) string {
		var stdout, stderr bytes.Buffer
		Main(args, &stdout, &stderr)
		return stderr.String()
	}
	dir := t.TempDir()
	model := filepath.Join(dir, "m.onnx")
	for name, value := range map[string]string{
		"RTX_OUT": "/nowhere/x", "RTX_CONFIG": "/nowhere.yaml", "RTX_PRECISION": "fp32x", "RTX_BN": "frozenx", "RTX_BATCH_SIZE": "5000", "RTX_INPUT_SIZE": "0",
		"RTX_FEATURIZE_LAYER": "nowhere", "RTX_FINETUNE_BATCH_SIZE": "few", "RTX_PROBE_DATA": "/nowhere",
	} {
		t.Setenv(name, value)
	}
	t.Setenv("RTX_ARCH", "resnet50")
	t.Setenv("RTX_DATA", "/nowhere/images")
	backbone := filepath.Join("..", "assets", "backbones", "resnet8_std.onnx")
	if said := run("export", backbone, "--to", "onnx", "-o", filepath.Join(dir, "e.onnx")); strings.Contains(said, "error") {
		t.Errorf("export: %s", said)
	}
	if said := run("new", "--classes", "3", "-o", model); !strings.Contains(said, "--arch is missing") {
		t.Errorf("new: %s", said)
	}
	t.Setenv("RTX_VERIFY", "perhaps") // of models
	for args, want := range map[string]string{
		"featurize -m " + backbone + " --batch-size 3": "--out is missing", "finetune -m " + backbone: `"few"`, "probe -o " + dir + "/p": "/nowhere",
	} {
		if said := run(strings.Fields(args)...); !strings.Contains(said, want) || strings.Contains(said, ".yaml") {
			t.Errorf("%s: no %q in %s", args, want, said)
		}
	}
	// Images on the command line go before data that the environment names.
	if said := run("predict", "-m", filepath.Join(dir, "none.onnx"), "a.png"); strings.Contains(said, "expected one or the other") {
		t.Errorf("predict: %s", said)
	}
	// A verb's own variable goes before the one for all.
	t.Setenv("RTX_PROGRESS", "auto")
	t.Setenv("RTX_PREDICT_PROGRESS", "loud")
	if said := run("predict", "-m", "none.onnx", "a.png"); !strings.Contains(said, `--progress is "loud"`) {
		t.Errorf("predict: %s", said)
	}
}
