package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"syscall"

	"github.com/robust-transfer/rtx/cli/catalogue"
	"github.com/robust-transfer/rtx/detect/coco"
	"github.com/robust-transfer/rtx/detect/data"
	"github.com/robust-transfer/rtx/detect/foreign"
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

// startsOver is the advice where an interrupted command has kept nothing.
const startsOver = "nothing was written; the same command starts over"

// verdict is the exit code of an error and what the user can do about it.
func verdict(err error) (code int, hint string) {
	var h hinted
	var usage *usageError
	var sig signalled
	var missing *catalogue.MissingError
	var taken *catalogue.TakenError
	var value *onnx.ValueError
	var model untrainable
	switch {
	case errors.As(err, &h):
		code, _ := verdict(h.error)
		return code, h.hint
	case errors.As(err, &usage):
		return 2, usage.hint
	case errors.As(err, &sig):
		return 128 + int(sig.Signal), "everything computed is saved; the same command goes on from here"
	case errors.As(err, &missing):
		return 69, missingHint(missing.Model)
	case errors.As(err, &taken):
		return 2, takenHint(taken)
	case errors.As(err, &value):
		return 2, suggest(value.Value, value.Values, "rtx inspect --values lists those that one may name")
	case errors.As(err, &model):
		if code, hint := verdict(model.error); code != 1 {
			return code, hint
		}
		return 65, "rtx inspect shows the model's operators; weights are trained as float32"
	}
	for _, v := range verdicts {
		if v.of(err) {
			return v.code, v.hint
		}
	}
	return 1, ""
}

// verdicts are the exit codes of errors that the libraries return, and the hints.
// The first one that fits counts.
var verdicts = []struct {
	of   func(error) bool
	code int
	hint string
}{
	{is(output.ErrConfig), 2, startOver},
	{is(output.ErrIrregular), 2, "name a new file"},
	{is(output.ErrNoFolder), 2, "name a folder"},
	{is(output.ErrExists), 2, "choose another name, or --overwrite"},
	{is(output.ErrInput), 2, "choose another --out"},
	{is(output.ErrLocked), 75, "wait for the other process, or choose another --out"},
	{is(syscall.ENOSPC, syscall.EDQUOT, syscall.EFBIG), 75, "make room; the same command goes on from here"},
	{as[temporary], 75, "try again later; the same command goes on from here"},
	{as[*catalogue.TemporaryError], 75, "try again later; the same command goes on from here"},
	{is(catalogue.ErrUnavailable), 69, "--from takes a file that came another way; HTTPS_PROXY names a proxy"},
	{is(catalogue.ErrBundled), 2, "rtx models tells which models are in the cache"},
	{is(catalogue.ErrRefused), 65, "the same command tries anew; --from names another place"},
	{as[*checkpoint.ClaimError], 65, ""},
	{is(runtime.ErrBusy, syscall.ENOMEM), 75, "try a smaller --batch-size"},
	{as[*runtime.NoProviderError], 69, "rtx runtime install --cuda gets a library that has CUDA, rtx doctor tells what else is missing"},
	{is(runtime.ErrUnavailable), 69, "rtx runtime install gets a library, rtx doctor tells what is missing"},
	{is(onnx.ErrNoImageInput, onnx.ErrInputs), 65, "rtx inspect shows the model's inputs"},
	{as[*onnx.InputConflict], 65, "--range LOW..HIGH says what it takes, and --normalize MEAN/STD what is still to be done; rtx import MODEL.onnx -o NEW.onnx with these writes it down"},
	{is(onnx.ErrSpec), 2, "rtx inspect shows the model"},
	{is(runtime.ErrModel), 65, "rtx inspect shows the model's operators and their versions"},
	{is(finetune.ErrNoBatchNorm), 65, "a model whose batch norms were folded has no statistics left; rtx import without --fold-bn keeps them"},
	{is(finetune.ErrNotFinite), 65, "rtx inspect shows how pixels are normalised"},
	{is(onnx.ErrNoLogits), 65, "eval and predict take a classifier; rtx finetune and rtx probe --attach give a backbone a head; rtx inspect shows the model's outputs"},
	{openForm, 65, "--form says which it is; rtx inspect shows the model's outputs"},
	{as[*foreign.MissingError], 65, "rtx inspect shows what is known of the model; --labels FILE names the classes of a detector"},
	{is(foreign.ErrOutput), 65, "--form says of which form the outputs are, and rtx inspect what they were taken for"},
	{is(onnx.ErrNoClasses, onnx.ErrHead, onnx.ErrDetector, foreign.ErrNotDetector), 65, ""},
	{as[*onnx.ClassMismatch], 65, ""},
	{is(onnx.ErrOpset), 65, "onnx.version_converter converts it, or export it anew with another opset"},
	{is(onnx.ErrFormat), 65, "a model is an ONNX file, a PyTorch checkpoint or a name that rtx models lists"},
	{as[*verify.DifferenceError], 65, "the file is damaged, or one of its two readers misreads it"},
	{is(checkpoint.ErrQuantized), 65, "save the state_dict before torch.ao.quantization.convert, or export the quantised network to ONNX"},
	{nearestMismatch, 65, "rtx inspect lists its tensors; rtx import --arch NAME compares them with one architecture"},
	{detectorMismatch, 65, "rtx inspect lists the tensors; --arch with the name of a classifier takes the backbone alone"},
	{as[*arch.Unbuilt], 65, "Faster and Mask R-CNN and RetinaNet on a feature pyramid are made; --arch with the name of a classifier takes the backbone alone"},
	{as[*arch.Mismatch], 65, "rtx inspect lists the tensors"},
	{is(torch.ErrIndex), 2, "rtx import --index chooses one"},
	{is(data.ErrUnknown), 65, "folders of classes, without boxes, are for rtx featurize, compare and finetune"},
	{is(featurize.ErrObjects), 65, "rtx detect check tells what such a data set holds; to classify whole images, give a folder for each class, a list file, or the folder of the images alone"},
	{as[*foreign.MissingError], 65, "rtx inspect shows the model's outputs"},
	{is(foreign.ErrNotDetector, foreign.ErrOutput), 65, "rtx inspect shows the model's outputs"},
	{as[*coco.ResultsError], 65, ""},
	{as[*coco.InputError], 65, ""},
	{is(featurize.ErrUnfinished), 65, "rtx featurize is at work on it, or goes on with it when it is run again"},
	{is(featurize.ErrData, featurize.ErrFormat, torch.ErrFormat, probe.ErrData), 65, ""},
	{is(context.Canceled), 130, ""},
	{is(fs.ErrPermission, syscall.EROFS), 1, "check the permissions of the file or folder"},
}

// is reports whether an error is one of some.
func is(targets ...error) func(error) bool {
	return func(err error) bool {
		return slices.ContainsFunc(targets, func(t error) bool { return errors.Is(err, t) })
	}
}

// as reports whether an error is of a type.
func as[E error](err error) bool { return errors.As(err, new(E)) }

// openForm is a detector whose outputs may be read in several ways.
func openForm(err error) bool {
	var m *foreign.MissingError
	return errors.As(err, &m) && len(m.Forms) > 0
}

// nearestMismatch is a checkpoint that was compared with the architecture that is
// nearest, and not with one that was named.
func nearestMismatch(err error) bool {
	var m *arch.Mismatch
	return errors.As(err, &m) && m.Nearest
}

// detectorMismatch is a damaged detector, or one with other layers.
func detectorMismatch(err error) bool {
	var m *arch.Mismatch
	return errors.As(err, &m) && m.Detector
}

// fail reports an error, as the last line on stdout under --json and on stderr
// otherwise, and returns the exit code.
func (e *env) fail(err error) int {
	code, hint := verdict(err)
	msg := strings.ReplaceAll(err.Error(), "\n", " ")
	if errors.As(err, new(silent)) {
		return code
	}
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

// silent is an error whose command has printed its result already.
type silent struct{ error }

func (s silent) Unwrap() error { return s.error }

// goOn adds the way to continue to the error of an interrupted command with
// --overwrite: the same command would start over.
func goOn(err error, overwrite bool) error {
	if !overwrite || errors.As(err, new(hinted)) { // with advice of its own
		return err
	}
	return hinted{err, "everything computed is saved; the same command without --overwrite goes on from here"}
}

func asObject(err error) (object, bool) {
	var p partial
	if errors.As(err, &p) {
		return p.result, true
	}
	return nil, false
}
