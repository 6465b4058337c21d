package runtime

import (
	"context"
	"errors"
	"fmt"
	gort "runtime"
	"strings"

	ort "github.com/yalue/onnxruntime_go"

	"github.com/robust-transfer/rtx/onnx"
)

// ErrBusy says that memory ran out, or that others use the device: the same call may
// succeed later.
var ErrBusy = errors.New("not enough memory, or the device is busy")

// ErrModel says that onnxruntime does not accept a model, or cannot compute it for a
// batch.
var ErrModel = errors.New("the model cannot be run")

// maxInline is the largest size of weights, in bytes, that are passed to onnxruntime
// in memory. It reads larger ones from the model's file itself, so that memory does
// not hold them twice.
const maxInline = 64 << 20

// Options says how a session runs.
type Options struct {
	Library   Library
	Threads   int    // 0: Cores()
	Device    string // "auto" (""), which is a GPU where there is one; "cpu", "cuda", "cuda:N"
	Precision string // "fp32" (""); "fp16"; "tf32", which only CUDA has
}

// Session is a model ready to run over images. Only one goroutine at a time may use
// it.
type Session struct {
	session *ort.DynamicAdvancedSession
	size    int // bytes of one image
	height  int
	width   int
	outputs []string
	device  device
	dims    map[int][][]int // shapes of the outputs, by batch size
	bound   *binding        // of the last batch size; nil before the first batch
}

// Open makes a session of a model whose one input is uint8 [N,H,W,3], as that of
// [onnx.Model.ForImages] is. [OpenImages] does both.
//
// Errors wrap [ErrUnavailable], [ErrModel] or [ErrBusy].
func Open(m *onnx.Model, o Options) (*Session, error) {
	in := m.Inputs()
	if len(in) != 1 || len(in[0].Shape) != 4 || in[0].Shape[3].Size != 3 {
		return nil, fmt.Errorf("runtime: expected one input [N,H,W,3], found %v", in)
	}
	s := &Session{height: int(in[0].Shape[1].Size), width: int(in[0].Shape[2].Size), dims: map[int][][]int{}}
	s.size = s.height * s.width * 3
	for _, v := range m.Outputs() {
		s.outputs = append(s.outputs, v.Name)
	}
	if err := start(o.Library); err != nil {
		return nil, err
	}
	var err error
	if s.device, err = o.device(); err != nil {
		return nil, err
	}
	options, err := s.options(o)
	if err != nil {
		return nil, err
	}
	defer options.Destroy()
	if transposedCodes(m) {
		if err = options.AddSessionConfigEntry("session.disable_quant_qdq", "1"); err != nil {
			return nil, fmt.Errorf("runtime: %w", err)
		}
	}
	if m, err = s.precision(m, o.Precision); err != nil {
		return nil, err
	}
	graph, dir, err := m.SessionBytes(maxInline)
	if err == nil && dir != "" {
		err = options.AddSessionConfigEntry("session.model_external_initializers_file_folder_path", dir)
	}
	if err != nil {
		return nil, err
	}
	s.session, err = ort.NewDynamicAdvancedSessionWithONNXData(graph, []string{in[0].Name}, s.outputs, options)
	if err != nil {
		return nil, fmt.Errorf("runtime: %q: %w", m.Name(), classify(err))
	}
	return s, nil
}

// precision converts the model to the precision that was asked for. On x86 CPUs
// onnxruntime computes float16 networks in float32, with rounded weights. On other
// CPUs it computes in float16, sums included, which is not precise enough.
func (s *Session) precision(m *onnx.Model, asked string) (*onnx.Model, error) {
	switch asked {
	case "", "fp32", "tf32":
		return m, nil
	case "fp16":
		if s.device.gpu < 0 && gort.GOARCH != "amd64" {
			return nil, fmt.Errorf("runtime: precision fp16 on a CPU of %s sums in float16, which loses too much: %w", gort.GOARCH, ErrUnavailable)
		}
		return m.Float16()
	}
	return nil, fmt.Errorf("runtime: precision %q, expected fp32, tf32 or fp16: %w", asked, ErrUnavailable)
}

// options are onnxruntime's for a session on its device. Where a GPU cannot be used
// after all, the device becomes the CPU.
func (s *Session) options(o Options) (*ort.SessionOptions, error) {
	options, err := ort.NewSessionOptions()
	if err != nil {
		return nil, fmt.Errorf("runtime: %w", err)
	}
	threads := o.Threads
	if threads == 0 {
		threads = Cores()
	}
	err = errors.Join(options.SetIntraOpNumThreads(threads), options.SetInterOpNumThreads(1))
	if err == nil && s.device.gpu >= 0 {
		if cannot := appendCUDA(options, cudaSettings(s.device.gpu, o.Precision)); cannot != nil {
			s.device, err = s.device.without(o.Device, cannot)
		}
	}
	if err != nil {
		options.Destroy()
		return nil, err
	}
	return options, nil
}

// classify wraps ErrBusy where onnxruntime's message speaks of memory or a busy
// device, and ErrModel where it does not speak of CUDA.
func classify(err error) error {
	text := strings.ToLower(err.Error())
	for _, sign := range []string{"failed to allocate memory", "bad_alloc", "out of memory", "device is busy", "cuda failure 2:"} {
		if strings.Contains(text, sign) {
			return fmt.Errorf("%w: %w", err, ErrBusy)
		}
	}
	if strings.Contains(text, "cuda") || strings.Contains(text, "cudnn") {
		return err
	}
	return fmt.Errorf("%w: %w", ErrModel, err)
}

// Device is "cpu" or "cuda:N"; why says why it is not a GPU.
func (s *Session) Device() (name, why string) { return s.device.String(), s.device.why }

// Dims returns the shape of each output for a batch of n. It computes a batch of
// zeros to learn it, once for each n.
func (s *Session) Dims(ctx context.Context, n int) ([][]int, error) {
	if d, ok := s.dims[n]; ok {
		return d, nil
	}
	if s.session == nil {
		return nil, errors.New("runtime: the session is closed")
	}
	in, err := ort.NewEmptyTensor[uint8](ort.NewShape(int64(n), int64(s.height), int64(s.width), 3))
	if err != nil {
		return nil, fmt.Errorf("runtime: %w", err)
	}
	defer in.Destroy()
	out := make([]ort.Value, len(s.outputs))
	if err := s.run(ctx, []ort.Value{in}, out); err != nil {
		return nil, err
	}
	var dims [][]int
	for i, v := range out {
		shape := v.GetShape()
		v.Destroy()
		d := make([]int, len(shape))
		for k, x := range shape {
			d[k] = int(x)
		}
		if len(d) == 1 && d[0] == n {
			return nil, fmt.Errorf("runtime: output %q is a single number for each image, of shape [N], expected [N,1] or [N,K]: an Unsqueeze behind it makes that: %w", s.outputs[i], ErrModel)
		}
		if len(d) < 2 || d[0] != n {
			return nil, fmt.Errorf("runtime: output %q has shape %v for a batch of %d, expected [%d, ...]: %w", s.outputs[i], d, n, n, ErrModel)
		}
		dims = append(dims, d)
	}
	s.dims[n] = dims
	return dims, nil
}

// Run computes the outputs for n images, uint8 [n,H,W,3] in RGB, into dst, one slice
// for each output. When ctx ends, Run returns its cause early.
func (s *Session) Run(ctx context.Context, n int, src []uint8, dst ...[]float32) error {
	if s.session == nil {
		return errors.New("runtime: the session is closed")
	}
	if len(src) != n*s.size {
		return fmt.Errorf("runtime: %d bytes for %d images of %dx%dx3, expected %d", len(src), n, s.height, s.width, n*s.size)
	}
	if len(dst) != len(s.outputs) {
		return fmt.Errorf("runtime: %d destinations for %d outputs", len(dst), len(s.outputs))
	}
	if err := s.bind(ctx, n); err != nil {
		return err
	}
	for i, d := range dst {
		if len(d) != len(s.bound.dst[i]) {
			return fmt.Errorf("runtime: destination of output %q has %d floats, expected %d", s.outputs[i], len(d), len(s.bound.dst[i]))
		}
	}
	copy(s.bound.src, src)
	if err := s.run(ctx, s.bound.inputs, s.bound.outputs); err != nil {
		return err
	}
	for i, d := range dst {
		copy(d, s.bound.dst[i])
	}
	return nil
}

// run computes outputs, and ends early when ctx does.
func (s *Session) run(ctx context.Context, in, out []ort.Value) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	options, err := ort.NewRunOptions()
	if err != nil {
		return fmt.Errorf("runtime: %w", err)
	}
	defer options.Destroy()
	ended := make(chan struct{})
	stop := context.AfterFunc(ctx, func() { options.Terminate(); close(ended) })
	err = s.session.RunWithOptions(in, out, options)
	if !stop() {
		<-ended // until then options are in use
		if err != nil {
			return context.Cause(ctx)
		}
	}
	if err != nil {
		return fmt.Errorf("runtime: %w", classify(err))
	}
	return nil
}

// Close frees the session. It may be called more than once.
func (s *Session) Close() error {
	if s.session == nil {
		return nil
	}
	s.unbind()
	err := s.session.Destroy()
	s.session = nil
	return err
}
