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

// withConfig adds the flags that a configuration file sets to the arguments, but
// for those that the command line or the environment sets.
func withConfig(app *cli.App, args []string) ([]string, error) {
	c, path, rest := findCommand(app.Commands, args)
	if c == nil || findFlag(c.Flags, "config") == nil {
		return args, nil
	}
	given := givenFlags(c, rest)
	file, named := given["config"]
	if !named {
		file, _ = fromEnvironment(findFlag(c.Flags, "config"))
	}
	if file == "" {
		return args, nil
	}
	settings, err := readConfig(file)
	if err != nil {
		return nil, err
	}
	var add []string
	for _, s := range settings {
		flag, values, err := setting(c, file, s)
		if err != nil {
			return nil, err
		}
		_, onLine := given[flag]
		if _, set := fromEnvironment(findFlag(c.Flags, flag)); onLine || set {
			continue
		}
		for _, v := range values {
			add = append(add, fmt.Sprintf("--%s=%v", flag, v))
		}
	}
	return slices.Concat(path, add, rest), nil
}

// givenFlags are the values of the flags of an arranged command line.
func givenFlags(c *cli.Command, args []string) map[string]string {
	given := map[string]string{}
	for _, a := range args {
		name, value, _ := strings.Cut(strings.TrimLeft(a, "-"), "=")
		if !strings.HasPrefix(a, "-") {
			continue
		}
		if f := findFlag(c.Flags, name); f != nil {
			given[f.Names()[0]] = value
		}
	}
	return given
}

// readConfig reads a YAML file of flags.
func readConfig(file string) (settings yaml.MapSlice, err error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, &usageError{msg: fmt.Sprintf("--config: %v", err)}
	}
	if err := yaml.Unmarshal(data, &settings); err != nil {
		first, _, _ := strings.Cut(err.Error(), "\n")
		return nil, &usageError{msg: fmt.Sprintf("--config %q: %s", file, first)}
	}
	return settings, nil
}

// setting is the flag that a line of a configuration file sets, and its values:
// several for a flag that may be repeated, none for an empty one.
func setting(c *cli.Command, file string, s yaml.MapItem) (flag string, values []any, err error) {
	name := fmt.Sprint(s.Key)
	f := findFlag(c.Flags, name)
	if f == nil || slices.Contains(notRecorded, name) {
		e := unknownFlag(c, name, name).(*usageError)
		return "", nil, &usageError{msg: fmt.Sprintf("--config %q: unknown key %q", file, name), hint: e.hint}
	}
	flag = f.Names()[0]
	_, repeats := f.(*cli.StringSliceFlag)
	switch v := s.Value.(type) {
	case nil:
		return flag, nil, nil
	case []any:
		if repeats {
			return flag, v, nil
		}
	case yaml.MapSlice, map[string]any:
	default:
		return flag, []any{v}, nil
	}
	return "", nil, &usageError{msg: fmt.Sprintf("--config %q: %s is %v, expected one value", file, name, s.Value)}
}
