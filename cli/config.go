package cli

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	cli "github.com/urfave/cli/v2"
)

// notRecorded are flags that say how a command is run, not what it does.
var notRecorded = []string{"config", "json", "progress", "quiet", "overwrite", "verify", "resume", "help"}

// withConfig adds what a configuration file says to the arguments, where
// neither a flag nor the environment says something else.
func withConfig(app *cli.App, args []string) ([]string, error) {
	c, path, rest := findCommand(app.Commands, args)
	if c == nil || findFlag(c.Flags, "config") == nil {
		return args, nil
	}
	file := ""
	given := map[string]bool{}
	for _, a := range rest {
		if name, value, _ := strings.Cut(strings.TrimLeft(a, "-"), "="); strings.HasPrefix(a, "-") {
			if f := findFlag(c.Flags, name); f != nil {
				given[f.Names()[0]] = true
				if f.Names()[0] == "config" {
					file = value
				}
			}
		}
	}
	if file == "" {
		if given["config"] { // as none
			return args, nil
		}
		if file = os.Getenv(variable("config")); file == "" {
			return args, nil
		}
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, &usageError{msg: fmt.Sprintf("--config: %v", err)}
	}
	var settings yaml.MapSlice
	if err := yaml.Unmarshal(data, &settings); err != nil {
		first, _, _ := strings.Cut(err.Error(), "\n")
		return nil, &usageError{msg: fmt.Sprintf("--config %q: %s", file, first)}
	}
	var add []string
	for _, s := range settings {
		name := fmt.Sprint(s.Key)
		f := findFlag(c.Flags, name)
		if f == nil || slices.Contains(notRecorded, name) {
			e := unknownFlag(c, name, name).(*usageError)
			return nil, &usageError{msg: fmt.Sprintf("--config %q: unknown key %q", file, name), hint: e.hint}
		}
		values := []any{s.Value}
		if list, ok := s.Value.([]any); ok {
			if _, repeats := f.(*cli.StringSliceFlag); repeats {
				values, s.Value = list, ""
			}
		}
		switch s.Value.(type) {
		case nil: // as if it were not there
			continue
		case []any, yaml.MapSlice, map[string]any:
			return nil, &usageError{msg: fmt.Sprintf("--config %q: %s is %v, expected one value", file, name, s.Value)}
		}
		if _, set := os.LookupEnv(variable(f.Names()[0])); !given[f.Names()[0]] && !set {
			for _, v := range values {
				add = append(add, fmt.Sprintf("--%s=%v", f.Names()[0], v))
			}
		}
	}
	return slices.Concat(path, add, rest), nil
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
