package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"

	"github.com/robust-transfer/rtx/cli/catalogue"
	"github.com/robust-transfer/rtx/featurize"
	"github.com/robust-transfer/rtx/featurize/output"
	"github.com/robust-transfer/rtx/finetune"
	"github.com/robust-transfer/rtx/finetune/probe"
	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/arch"
	"github.com/robust-transfer/rtx/onnx/checkpoint"
	"github.com/robust-transfer/rtx/onnx/runtime"
	"github.com/robust-transfer/rtx/onnx/torch"
	"github.com/robust-transfer/rtx/onnx/verify"
)

// usageError is a command line that cannot be meant.
type usageError struct{ msg, hint string }

func (e *usageError) Error() string { return e.msg }

// hinted adds advice to an error.
type hinted struct {
	error
	hint string
}

func (h hinted) Unwrap() error { return h.error }

// temporary is a failure that may not happen the next time.
type temporary struct{ error }

func (t temporary) Unwrap() error { return t.error }

// untrainable is a model that training cannot compute.
type untrainable struct{ error }

func (u untrainable) Unwrap() error { return u.error }

// startOver is the advice where an output holds another configuration.
const startOver = "choose another --out, or start over with --overwrite"

// verdict is the exit code of an error and what the user can do about it.
func verdict(err error) (code int, hint string) {
	var usage *usageError
	var sig signalled
	var later temporary
	var download *catalogue.TemporaryError
	var missing *catalogue.MissingError
	var taken *catalogue.TakenError
	var model untrainable
	var h hinted
	var mismatch *arch.Mismatch
	var different *verify.DifferenceError
	var classes *onnx.ClassMismatch
	var value *onnx.ValueError
	var claim *checkpoint.ClaimError
	if errors.As(err, &h) {
		code, _ := verdict(h.error)
		return code, h.hint
	}
	is := func(targets ...error) bool {
		for _, t := range targets {
			if errors.Is(err, t) {
				return true
			}
		}
		return false
	}
	switch {
	case errors.As(err, &usage):
		return 2, usage.hint
	case errors.As(err, &sig):
		return 128 + int(sig.Signal), "everything computed is saved; the same command goes on from here"
	case is(output.ErrConfig):
		return 2, startOver
	case is(output.ErrIrregular):
		return 2, "name a new file"
	case is(output.ErrLocked):
		return 75, "wait for the other process, or choose another --out"
	case is(syscall.ENOSPC, syscall.EDQUOT, syscall.EFBIG):
		return 75, "make room; the same command goes on from here"
	case errors.As(err, &later), errors.As(err, &download):
		return 75, "try again later; the same command goes on from here"
	case errors.As(err, &missing):
		return 69, missingHint(missing.Model)
	case errors.As(err, &taken):
		return 2, takenHint(taken)
	case is(catalogue.ErrUnavailable):
		return 69, "--from takes a file that came another way; HTTPS_PROXY names a proxy"
	case is(catalogue.ErrRefused):
		return 65, "the same command tries anew; --from names another place"
	case errors.As(err, &claim):
		return 65, ""
	case is(runtime.ErrBusy, syscall.ENOMEM):
		return 75, "try a smaller --batch-size"
	case is(runtime.ErrUnavailable):
		return 69, "rtx runtime install gets a library, rtx doctor tells what is missing"
	case is(onnx.ErrNoImageInput, onnx.ErrInputs):
		return 65, "rtx inspect shows the model's inputs"
	case errors.As(err, &value):
		return 2, suggest(value.Value, value.Values, "rtx inspect shows the model")
	case is(onnx.ErrSpec):
		return 2, "rtx inspect shows the model"
	case is(runtime.ErrModel):
		return 65, "rtx inspect shows the model's operators and their versions"
	case errors.As(err, &model):
		if code, hint := verdict(model.error); code != 1 {
			return code, hint
		}
		return 65, "rtx inspect shows the model's operators; weights are trained as float32"
	case is(finetune.ErrNoBatchNorm):
		return 65, "a model whose batch norms were folded has no statistics left; rtx import without --fold-bn keeps them"
	case is(onnx.ErrNoLogits):
		return 65, "eval and predict take a classifier; rtx inspect shows the model's outputs"
	case is(onnx.ErrNoClasses, onnx.ErrHead), errors.As(err, &classes):
		return 65, ""
	case is(onnx.ErrFormat):
		return 65, "a model is an ONNX file, a PyTorch checkpoint or a name that rtx models lists"
	case errors.As(err, &different):
		return 65, "the file is damaged, or one of its two readers misreads it"
	case errors.As(err, &mismatch):
		if mismatch.Nearest {
			return 65, "rtx inspect lists its tensors; rtx import --arch NAME compares them with one architecture"
		}
		return 65, "rtx inspect lists the tensors"
	case is(torch.ErrIndex):
		return 2, "rtx import --index chooses one"
	case is(featurize.ErrData, featurize.ErrFormat, torch.ErrFormat, probe.ErrData):
		return 65, ""
	case is(context.Canceled):
		return 130, ""
	case is(fs.ErrPermission, syscall.EROFS):
		return 1, "check the permissions of the file or folder"
	}
	return 1, ""
}

// fail reports an error, as the last line on stdout under --json and on stderr
// otherwise, and returns the exit code.
func (e *env) fail(err error) int {
	code, hint := verdict(err)
	msg := strings.ReplaceAll(err.Error(), "\n", " ")
	if e.json {
		if o, ok := asObject(err); ok {
			e.print(o)
			return code
		}
		var p *fs.PathError
		path := ""
		if errors.As(err, &p) {
			path = p.Path
		}
		e.print(object{{"schema", "rtx.error/1"}, {"status", "failed"}, {"code", code}, {"error", msg}, {"hint", hint}, {"path", path}})
		return code
	}
	fmt.Fprintf(e.stderr, "rtx: error: %s\n", msg)
	if hint != "" {
		fmt.Fprintf(e.stderr, "rtx: hint: %s\n", hint)
	}
	return code
}

// partial is an error with the result that was reached, which --json prints in
// its place: an interrupted job.
type partial struct {
	error
	result object
}

func (p partial) Unwrap() error { return p.error }

func asObject(err error) (object, bool) {
	var p partial
	if errors.As(err, &p) {
		return p.result, true
	}
	return nil, false
}
