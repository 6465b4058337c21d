package runtime

import (
	"debug/elf"
	"fmt"
	"os"
	"path/filepath"
	gort "runtime"
	"strconv"
	"strings"

	ort "github.com/yalue/onnxruntime_go"
)

// device is the processor that a session runs on.
type device struct {
	gpu    int    // number of the GPU; -1: the CPU
	forced bool   // named by the caller
	why    string // why it is not a GPU
}

func (d device) String() string {
	if d.gpu < 0 {
		return "cpu"
	}
	return fmt.Sprintf("cuda:%d", d.gpu)
}

// device chooses a device: the one that was asked for, or the best that is there.
func (o Options) device() (device, error) {
	kind, id, numbered := strings.Cut(o.Device, ":")
	d := device{gpu: -1, forced: kind == "cpu" || kind == "cuda", why: "asked for"}
	number, err := 0, error(nil)
	if numbered {
		number, err = strconv.Atoi(id)
	}
	switch {
	case err != nil || number < 0 || numbered && kind != "cuda" || !d.forced && kind != "" && kind != "auto":
		return d, fmt.Errorf("runtime: device %q, expected auto, cpu, cuda or cuda:N: %w", o.Device, ErrUnavailable)
	case kind == "cpu":
		return d, nil
	}
	if err := o.Library.cuda(number); err != nil {
		return d.without(o.Device, err)
	}
	d.gpu, d.why = number, ""
	return d, nil
}

// Choose loads the library and tells on which device sessions with these options
// run, "cpu" or "cuda:N"; why says why it is not a GPU.
func Choose(o Options) (name, why string, err error) {
	if err := start(o.Library); err != nil {
		return "", "", err
	}
	d, err := o.device()
	if err != nil {
		return "", "", err
	}
	return d.String(), d.why, nil
}

// without is the CPU in place of a GPU that cannot be used because of err. Where the
// GPU was asked for, that is an error.
func (d device) without(asked string, err error) (device, error) {
	if d.forced {
		return d, fmt.Errorf("runtime: device %q: %w: %w", asked, err, ErrUnavailable)
	}
	first, _, _ := strings.Cut(strings.TrimSpace(err.Error()), "\n")
	if all, ok := err.(missing); ok {
		first = all[0].Error()
	}
	d.gpu, d.why = -1, "CUDA cannot be used: "+first
	return d, nil
}

// missing lists what a library lacks to use a GPU, the most fundamental first.
type missing []error

func (m missing) Error() string {
	var parts []string
	for _, err := range m {
		parts = append(parts, err.Error())
	}
	return strings.Join(parts, "; ")
}

func (m missing) Unwrap() []error { return m }

// NoProviderError is the error of a library that was built without CUDA.
type NoProviderError struct{ Library string }

func (e *NoProviderError) Error() string {
	return fmt.Sprintf("%q has no CUDA: there is no %s beside it", e.Library, provider)
}

// CUDA returns nil where sessions of the library can run on a GPU, else everything
// that is missing. The error wraps a [*NoProviderError] where it is the library's
// own part for CUDA.
func (l Library) CUDA() error { return l.cuda(0) }

// provider is the part of onnxruntime that runs on CUDA. It is a library of its own.
const provider = "libonnxruntime_providers_cuda.so"

// cuda checks for the GPU of a number, for the provider, and for the libraries that
// the provider needs. The error names everything that is missing.
func (l Library) cuda(number int) error {
	if gort.GOOS != "linux" {
		return fmt.Errorf("onnxruntime has no CUDA for %s", platform())
	}
	var all missing
	switch n, err := devices(); {
	case err != nil:
		all = append(all, err)
	case number >= n:
		all = append(all, fmt.Errorf("no GPU of number %d: there are %d, from 0 on", number, n))
	}
	folder := filepath.Dir(l.Path)
	if _, err := os.Stat(filepath.Join(folder, provider)); err != nil {
		all = append(all, &NoProviderError{l.Path})
	} else if names, err := lacking(filepath.Join(folder, provider)); err != nil {
		all = append(all, fmt.Errorf("%s: %w", provider, err))
	} else if len(names) > 0 {
		all = append(all, fmt.Errorf("%s cannot be loaded: install CUDA's libraries and cuDNN 9, and put their folders into LD_LIBRARY_PATH", strings.Join(names, ", ")))
	}
	if len(all) == 0 {
		return nil
	}
	return all
}

// lacking lists the libraries that a library needs and that cannot be loaded; the
// others stay loaded. It includes cuDNN, which the provider opens when it is used.
func lacking(file string) ([]string, error) {
	f, err := elf.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	needed, err := f.ImportedLibraries()
	if err != nil {
		return nil, err
	}
	var names []string
	for _, name := range append(needed, "libcudnn.so.9") {
		if !strings.HasPrefix(name, "libcu") || name == "libcuda.so.1" || len(names) > 0 && names[len(names)-1] == name {
			continue
		}
		if preload(name, filepath.Dir(file), "/usr/local/cuda/lib64") != nil {
			names = append(names, name)
		}
	}
	return names, nil
}

// cudaSettings are the provider's options. All batches of a job have one size, so
// that the arena need not grow beyond what is requested. Convolutions in float16
// and TF32 are fastest in the layout NHWC.
func cudaSettings(number int, precision string) map[string]string {
	s := map[string]string{
		"device_id": strconv.Itoa(number), "use_tf32": "0", "prefer_nhwc": "0",
		"cudnn_conv_algo_search": "HEURISTIC", "arena_extend_strategy": "kSameAsRequested",
	}
	if precision == "tf32" || precision == "fp16" {
		s["use_tf32"], s["prefer_nhwc"] = "1", "1"
	}
	return s
}

// appendCUDA makes a session run on CUDA.
func appendCUDA(options *ort.SessionOptions, settings map[string]string) error {
	cuda, err := ort.NewCUDAProviderOptions()
	if err != nil {
		return err
	}
	defer cuda.Destroy()
	if err := cuda.Update(settings); err != nil {
		return err
	}
	return options.AppendExecutionProviderCUDA(cuda)
}
