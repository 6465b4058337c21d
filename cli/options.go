package cli

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	cli "github.com/urfave/cli/v2"
)

// The options of a verb are a struct whose fields carry the names of their
// flags: `flag:"batch-size"`. A verb reads its flags into it once; another verb
// fills in the struct itself. Embedded structs are groups of flags that several
// verbs share.

// readOptions sets every tagged field of the struct that options points to. A
// flag that the command does not have leaves the zero value.
func readOptions(c *cli.Context, options any) {
	eachOption(options, func(flag string, field reflect.Value) {
		switch p := field.Addr().Interface().(type) {
		case *string:
			*p = c.String(flag)
		case *int:
			*p = c.Int(flag)
		case *bool:
			*p = c.Bool(flag)
		case *[]string:
			*p = c.StringSlice(flag)
		default:
			panic("cli: option " + flag + " is of a type that no flag has")
		}
	})
}

// defaultsOf sets every tagged field of the struct that options points to to the default
// of its flag.
func defaultsOf(flags []cli.Flag, options any) {
	eachOption(options, func(name string, field reflect.Value) {
		switch f := findFlag(flags, name).(type) {
		case *cli.StringFlag:
			field.SetString(f.Value)
		case *cli.IntFlag:
			field.SetInt(int64(f.Value))
		}
	})
}

// recordedOptions is the configuration of a command as YAML that is itself a
// --config: what each option is set to, in the order of the fields.
func recordedOptions(options any) ([]byte, error) {
	var settings yaml.MapSlice
	eachOption(options, func(flag string, field reflect.Value) {
		if slices.Contains(notRecorded, flag) || field.Kind() == reflect.String && field.Len() == 0 || field.Kind() == reflect.Slice && field.Len() == 0 {
			return
		}
		settings = append(settings, yaml.MapItem{Key: flag, Value: field.Interface()})
	})
	return yaml.Marshal(settings)
}

// eachOption visits the tagged fields of a struct, embedded ones in their place.
func eachOption(options any, visit func(flag string, field reflect.Value)) {
	eachField(reflect.ValueOf(options).Elem(), visit)
}

func eachField(v reflect.Value, visit func(flag string, field reflect.Value)) {
	for i := range v.NumField() {
		field := v.Type().Field(i)
		if flag := field.Tag.Get("flag"); flag != "" {
			visit(flag, v.Field(i))
		} else if field.Anonymous {
			eachField(v.Field(i), visit)
		}
	}
}

// required refuses a command line that lacks a flag without which the verb means
// nothing; pairs are a flag's name and its value, in turn.
func required(usage string, pairs ...string) error {
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] == "" {
			return &usageError{msg: "--" + pairs[i] + " is missing", hint: usage}
		}
	}
	return nil
}

// oneOf wants the value of a flag to be one of a few.
func oneOf(flag, value string, may ...string) error {
	if !slices.Contains(may, value) {
		return &usageError{msg: fmt.Sprintf("--%s is %q, expected %s", flag, value, strings.Join(may, " or "))}
	}
	return nil
}

// commandLine is the command line, for people.
func commandLine(c *cli.Context) string { return commandLineOf(c.Command.Name, c) }

// commandLineOf is the command line of a verb below another one, such as models get.
func commandLineOf(verb string, c *cli.Context) string {
	args := []string{"rtx " + verb}
	for _, model := range c.Args().Slice() {
		args = append(args, quoted(model))
	}
	for _, f := range c.Command.Flags {
		name := f.Names()[0]
		if slices.Contains(notRecorded, name) || !c.IsSet(name) {
			continue
		}
		if _, ok := f.(*cli.StringSliceFlag); ok {
			for _, v := range c.StringSlice(name) {
				args = append(args, "--"+name, quoted(v))
			}
			continue
		}
		args = append(args, "--"+name, quoted(strings.Trim(fmt.Sprint(c.Value(name)), "[]")))
	}
	return strings.Join(args, " ")
}

func quoted(arg string) string {
	if strings.ContainsAny(arg, " \t\n'\"$&|;<>()*?[]#~`\\") {
		return "'" + strings.ReplaceAll(arg, "'", `'\''`) + "'"
	}
	return arg
}
