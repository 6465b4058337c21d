package cli

import (
	"reflect"
	"slices"
	"testing"

	"github.com/goccy/go-yaml"
	cli "github.com/urfave/cli/v2"
)

// TestOptions holds that a verb's options are all of its flags, but for those
// that env has, and that args.yaml is the same as of the flags themselves.
func TestOptions(t *testing.T) {
	ours := []string{"config", "json", "progress", "quiet", "help"}
	for verb, c := range map[string]struct {
		command *cli.Command
		options any
		args    []string
	}{
		"featurize": {featurizeCommand(&env{}), &featurizeOptions{}, []string{"-m", "a b.onnx", "--data", "- x", "--pool=none", "-b", "7", "--exif-rotate", "--resize", "08", "--overwrite"}},
		"probe":     {probeCommand(&env{}), &probeOptions{}, []string{"-d", "x", "--reg", "1", "--reg=2", "--balanced", "--attach", "m"}},
		"compare":   {compareCommand(&env{}), &compareOptions{}, []string{"-d", "x", "--seed", "3", "--bn", "adapt", "--channels", "bgr"}},
		"adapt":     {adaptCommand(&env{}), &adaptOptions{}, nil},
		"eval":      {evalCommand(&env{}), &evalOptions{}, []string{"-m", "x", "-d", "y", "--split", "val", "-o", "z", "--range", "0..255"}},
		"predict":   {predictCommand(&env{}), &predictOptions{}, nil},
		"finetune":  {finetuneCommand(&env{}), &finetuneOptions{}, []string{"-m", "x", "-d", "y", "-o", "z", "--lr", ".1", "--lr", "1", "--nesterov", "--mixup", "0.2", "-b", "9", "--resize", "7"}},
	} {
		t.Run(verb, func(t *testing.T) {
			var flags, fields []string
			for _, f := range c.command.Flags {
				if name := f.Names()[0]; !slices.Contains(ours, name) {
					flags = append(flags, name)
				}
			}
			eachOption(c.options, func(flag string, _ reflect.Value) { fields = append(fields, flag) })
			for _, f := range flags {
				if !slices.Contains(fields, f) {
					t.Errorf("no option for --%s", f)
				}
			}
			var want, got []byte
			c.command.Action = func(ctx *cli.Context) (err error) {
				readOptions(ctx, c.options)
				if want, err = resolved(ctx); err == nil {
					got, err = recordedOptions(c.options)
				}
				return err
			}
			app := &cli.App{Commands: []*cli.Command{c.command}}
			if err := app.Run(append([]string{"rtx", verb}, c.args...)); err != nil {
				t.Fatal(err)
			}
			if verb != "adapt" && verb != "predict" && string(want) != string(got) { // which write none
				t.Errorf("args.yaml of the options:\n%s\nof the flags:\n%s", got, want)
			}
		})
	}
}

// resolved is the configuration that a command ran with, as YAML that is
// itself a --config.
func resolved(c *cli.Context) ([]byte, error) {
	var settings yaml.MapSlice
	for _, f := range c.Command.Flags {
		name := f.Names()[0]
		v := c.Value(name)
		if _, ok := f.(*cli.StringSliceFlag); ok {
			if v = c.StringSlice(name); len(c.StringSlice(name)) == 0 {
				continue
			}
		}
		if !slices.Contains(notRecorded, name) && v != "" {
			settings = append(settings, yaml.MapItem{Key: name, Value: v})
		}
	}
	return yaml.Marshal(settings)
}
