// Package cli is the rtx program: its verbs, one a file, and what they share:
// flags, files, progress, JSON, exit codes. It alone reads flags and the
// environment, and writes to the terminal. Main runs a command line; the program
// itself is cli/rtx.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	cli "github.com/urfave/cli/v2"
)

// env is what a verb works with.
type env struct {
	stdout, stderr io.Writer
	json, quiet    bool
	progress       string
	config         string // the file of --config
	start          time.Time
	warnings       []string
}

// Main runs rtx with the arguments after the program's name and returns the
// exit code.
func Main(args []string, stdout, stderr io.Writer) int {
	result := &watched{Writer: stdout}
	e := &env{stdout: result, stderr: stderr, start: time.Now(), progress: "auto", warnings: []string{}}
	e.json = asksForJSON(args)
	ctx, stop := interruptible()
	defer stop()

	err := guarded(func() error {
		app := newApp(e)
		args, err := arrange(app, args)
		if err == nil {
			args, err = withConfig(app, args)
		}
		if err == nil {
			err = app.RunContext(ctx, append([]string{"rtx"}, args...))
		}
		return err
	})
	if errors.Is(err, context.Canceled) { // say which signal it was
		err = fmt.Errorf("%w", context.Cause(ctx))
	}
	if err == nil && result.err != nil {
		err = fmt.Errorf("write the result: %w", result.err)
		e.json = false // nobody would read it there
	}
	if err != nil {
		return e.fail(err)
	}
	return 0
}

// guarded calls f and makes an error of a panic.
func guarded(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			if os.Getenv("RTX_DEBUG") != "" {
				debug.PrintStack()
			}
			err = fmt.Errorf("internal error: %v", p)
		}
	}()
	return f()
}

func newApp(e *env) *cli.App {
	app := &cli.App{
		Name: "rtx", Usage: program().Summary,
		Writer: e.stdout, ErrWriter: e.stderr, HideVersion: true, HideHelpCommand: true, DisableSliceFlagSeparator: true,
		Commands:       commands(e),
		ExitErrHandler: func(*cli.Context, error) {},
		OnUsageError:   func(_ *cli.Context, err error, _ bool) error { return &usageError{msg: err.Error()} },
		Action:         func(c *cli.Context) error { return cli.ShowAppHelp(c) },
	}
	prepare(app.Commands, app.OnUsageError)
	return app
}

// prepare gives verbs, and those below them, what they share with the program.
func prepare(verbs []*cli.Command, onUsageError cli.OnUsageErrorFunc) {
	for _, c := range verbs {
		c.HideHelpCommand, c.OnUsageError = true, onUsageError
		prepare(c.Subcommands, onUsageError)
	}
}

// asksForJSON looks for --json and RTX_JSON, also in a command line that cannot be
// parsed, so that its error is printed as JSON.
func asksForJSON(args []string) bool {
	on, _ := strconv.ParseBool(os.Getenv(variable("json")))
	for _, a := range args {
		name, value, has := strings.Cut(strings.TrimLeft(a, "-"), "=")
		if strings.HasPrefix(a, "-") && name == "json" {
			set, _ := strconv.ParseBool(value)
			on = set || !has
		}
	}
	return on
}

// watched remembers the first error of its writer, so that a command whose result
// could not be written fails.
type watched struct {
	io.Writer
	err error
}

func (w *watched) Write(p []byte) (int, error) {
	n, err := w.Writer.Write(p)
	if w.err == nil {
		w.err = err
	}
	return n, err
}

func commands(e *env) []*cli.Command {
	return bindVariables([]*cli.Command{
		importCommand(e), exportCommand(e), featurizeCommand(e), mergeCommand(e), plotCommand(e), probeCommand(e), compareCommand(e), finetuneCommand(e), adaptCommand(e), detectCommand(e), evalCommand(e), predictCommand(e), inspectCommand(e), modelsCommand(e), newCommand(e),
		runtimeCommand(e), doctorCommand(e), versionCommand(e), completionCommand(e), manCommand(e),
	}, "")
}

// begin reads the flags that every verb has.
func (e *env) begin(c *cli.Context) error {
	e.json, e.quiet, e.config = c.Bool("json"), c.Bool("quiet"), c.String("config")
	if p := c.String("progress"); p != "" {
		e.progress = p
	}
	if !slices.Contains([]string{"auto", "bar", "jsonl", "none"}, e.progress) {
		return &usageError{msg: fmt.Sprintf("--progress is %q, expected auto, bar, jsonl or none", e.progress)}
	}
	if e.progress == "auto" && (e.json || e.quiet) {
		e.progress = "none"
	}
	return nil
}

// signalled is the cause of a context that a signal ended.
type signalled struct{ syscall.Signal }

func (s signalled) Error() string { return "interrupted (" + s.Signal.String() + ")" }

// interruptible returns a context that SIGINT and SIGTERM end; a second signal
// ends the process.
func interruptible() (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(context.Background())
	ch := make(chan os.Signal, 2)
	signal.Notify(ch, syscall.SIGINT, syscall.SIGTERM)
	go func() {
		first := true
		for s := range ch {
			if !first {
				os.Exit(128 + int(s.(syscall.Signal)))
			}
			first = false
			cancel(signalled{s.(syscall.Signal)})
		}
	}()
	return ctx, func() { signal.Stop(ch); close(ch); cancel(nil) }
}

// The flags that verbs share. commands binds each to its environment variables.

func text(name, value, usage string, aliases ...string) *cli.StringFlag {
	return &cli.StringFlag{Name: name, Aliases: aliases, Value: value, Usage: usage}
}

func number(name string, value int, usage string, aliases ...string) *cli.IntFlag {
	return &cli.IntFlag{Name: name, Aliases: aliases, Value: value, Usage: usage}
}

func toggle(name, usage string, aliases ...string) *cli.BoolFlag {
	return &cli.BoolFlag{Name: name, Aliases: aliases, Usage: usage}
}

func jsonFlag() cli.Flag { return toggle("json", "print one JSON object, and nothing on stderr") }

func libraryFlag() cli.Flag {
	return text("onnxruntime", "", "the onnxruntime library `FILE` (default: searched for)")
}
