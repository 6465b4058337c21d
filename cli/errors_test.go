package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/robust-transfer/rtx/cli/catalogue"
	"github.com/robust-transfer/rtx/featurize"
	"github.com/robust-transfer/rtx/featurize/output"
	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/arch"
	"github.com/robust-transfer/rtx/onnx/runtime"
)

func TestVerdict(t *testing.T) {
	for _, c := range []struct {
		err  error
		code int
		hint string
	}{
		{errors.New("anything"), 1, ""},
		{&usageError{msg: "a", hint: "b"}, 2, "b"},
		{hinted{fmt.Errorf("a: %w", output.ErrLocked), "own"}, 75, "own"},
		{signalled{syscall.SIGTERM}, 143, "same command"},
		{temporary{errors.New("a")}, 75, "again later"},
		{&catalogue.TemporaryError{Err: errors.New("a")}, 75, "again later"},
		{&fs.PathError{Op: "write", Path: "a", Err: syscall.ENOSPC}, 75, "make room"},
		{&arch.Mismatch{Nearest: true}, 65, "--arch"},
		{&arch.Mismatch{}, 65, "lists the tensors"},
		{untrainable{errors.New("a")}, 65, "float32"},
		{untrainable{fmt.Errorf("a: %w", runtime.ErrUnavailable)}, 69, "runtime install"},
		{fmt.Errorf("a: %w", &onnx.ValueError{}), 2, "rtx inspect"},
		{fmt.Errorf("a: %w", featurize.ErrUnfinished), 65, "at work on it"},
		{context.Canceled, 130, ""},
	} {
		code, hint := verdict(fmt.Errorf("outer: %w", c.err))
		if code != c.code || !strings.Contains(hint, c.hint) || c.hint == "" && hint != "" {
			t.Errorf("%T %v: exit %d, %q; want %d, %q", c.err, c.err, code, hint, c.code, c.hint)
		}
	}
	for overwrite, want := range map[bool]string{false: "the same command goes on", true: "without --overwrite goes on"} {
		err := goOn(partial{signalled{syscall.SIGINT}, object{}}, overwrite)
		_, is := asObject(err)
		if code, hint := verdict(err); code != 130 || !strings.Contains(hint, want) || !is {
			t.Errorf("overwrite %v: exit %d, %q", overwrite, code, hint)
		}
	}
	told := map[string]bool{}
	for _, c := range exitCodes {
		told[c[0]] = true
	}
	for _, v := range verdicts {
		if !told[strconv.Itoa(v.code)] && v.code != 130 {
			t.Errorf("the manual does not tell of exit code %d", v.code)
		}
	}
}
