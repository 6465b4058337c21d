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

// device is where a session runs.
type device struct {
	gpu    int    // -1: the CPU
	forced bool   // asked for by name
	why    string // what speaks against the GPU
}

func (d device) String() string {
	if d.gpu < 0 {
		return "cpu"
	}
	return fmt.Sprintf("cuda:%d", d.gpu)
}

// device chooses from what was asked for and what is there.
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

// Choose loads the library and tells where sessions of the options will run: on
// "cpu" or "cuda:N"; why tells what speaks against the GPU.
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

// without is the CPU in place of a GPU that cannot be had, unless that was
// asked for.
func (d device) without(asked string, err error) (device, error) {
	if d.forced {
		return d, fmt.Errorf("runtime: device %q: %w: %w", asked, err, ErrUnavailable)
	}
	first, _, _ := strings.Cut(strings.TrimSpace(err.Error()), "\n")
	if all, ok := err.(missing); ok {
		first = all[0]
	}
	d.gpu, d.why = -1, "CUDA cannot be used: "+first
	return d, nil
}

// missing is what keeps a library from a GPU, the gravest first.
type missing []string

func (m missing) Error() string { return strings.Join(m, "; ") }

// CUDA tells what keeps sessions of the library from a GPU; nil for nothing.
func (l Library) CUDA() error { return l.cuda(0) }

// provider is the part of onnxruntime that runs on CUDA, a library of its own.
const provider = "libonnxruntime_providers_cuda.so"

// cuda checks for a GPU of the number, for the provider, and for what that
// needs, and names everything that is missing.
func (l Library) cuda(number int) error {
	if gort.GOOS != "linux" {
		return fmt.Errorf("onnxruntime has no CUDA for %s", platform())
	}
	var all missing
	switch n, err := devices(); {
	case err != nil:
		all = append(all, err.Error())
	case number >= n:
		all = append(all, fmt.Sprintf("no GPU of number %d: there are %d, from 0 on", number, n))
	}
	folder := filepath.Dir(l.Path)
	if _, err := os.Stat(filepath.Join(folder, provider)); err != nil {
		all = append(all, fmt.Sprintf("%q has no CUDA: there is no %s beside it (rtx runtime install --cuda gets a library that has)", l.Path, provider))
	} else if names, err := lacking(filepath.Join(folder, provider)); err != nil {
		all = append(all, fmt.Sprintf("%s: %v", provider, err))
	} else if len(names) > 0 {
		all = append(all, strings.Join(names, ", ")+" cannot be loaded: install CUDA's libraries and cuDNN 9, and put their folders into LD_LIBRARY_PATH")
	}
	if len(all) == 0 {
		return nil
	}
	return all
}

// lacking lists the libraries that a library needs and that do not load; those
// that do stay loaded. cuDNN is opened by the provider itself when it is used.
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

// cudaSettings are the provider's. Batches of a job have one size, so memory is
// taken as it is asked for; with float16 and TF32, convolutions are fastest on
// channels that lie side by side.
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
