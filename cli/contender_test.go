package cli

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// TestPart holds that what is another verb's is silent, tells its warnings once and
// where it does not fail, and ends neither by a panic nor by a signal that it does
// not name.
func TestPart(t *testing.T) {
	var stdout, stderr bytes.Buffer
	fresh := func(progress string) *comparing {
		stdout.Reset()
		stderr.Reset()
		return &comparing{env: &env{stdout: &stdout, stderr: &stderr, json: true, progress: progress, warnings: []string{"old"}}}
	}
	work := func(err error) func(e *env) error {
		return func(e *env) error {
			if e.progress == "auto" { // which a terminal would show a bar for
				t.Error("progress is shown that was not asked for")
			}
			e.note("a note")
			e.warn("old")
			e.warn("new")
			e.print(object{{"key", 1}})
			p := newProgress(e)
			p.update(0, 1)
			p.end()
			return err
		}
	}
	for _, c := range []struct {
		progress string
		err      error
		warnings []string
		lines    int
	}{
		{"auto", nil, []string{"old", "new"}, 0},
		{"jsonl", nil, []string{"old", "new"}, 2},
		{"none", errors.New("broken"), []string{"old"}, 0},
		{"none", partial{signalled{syscall.SIGTERM}, nil}, []string{"old", "new"}, 0},
	} {
		k := fresh(c.progress)
		err := k.part(t.Context(), work(c.err))
		if !errors.Is(err, c.err) && !errors.As(err, new(partial)) || !slices.Equal(k.warnings, c.warnings) {
			t.Errorf("%+v: %v, warnings %q", c, err, k.warnings)
		}
		if stdout.Len() > 0 || strings.Count(stderr.String(), "\n") != c.lines {
			t.Errorf("%+v: stdout %q, stderr %q", c, &stdout, &stderr)
		}
	}
	long := fresh("auto")
	long.showsParts = true
	if err := long.part(t.Context(), func(e *env) error {
		if e.progress != "auto" || e.stderr != &stderr {
			t.Error("a part that takes long is silent")
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
	if err := fresh("none").part(t.Context(), func(*env) error { panic("oh") }); err == nil || err.Error() != "internal error: oh" {
		t.Errorf("a panic: %v", err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	err := fresh("none").part(ctx, func(*env) error { cancel(signalled{syscall.SIGINT}); return ctx.Err() })
	if !errors.As(err, new(signalled)) {
		t.Errorf("a signal: %v", err)
	}
	if err := fresh("none").part(ctx, func(*env) error { t.Error("it goes on after a signal"); return nil }); !errors.As(err, new(signalled)) {
		t.Errorf("after a signal: %v", err)
	}
}
