package cli

import (
	"errors"
	"fmt"
	"io"
	"os/exec"
	gort "runtime"
	"strings"

	cli "github.com/urfave/cli/v2"

	"github.com/robust-transfer/rtx/featurize/pixels"
	"github.com/robust-transfer/rtx/onnx/runtime"
)

func runtimeCommand(e *env) *cli.Command {
	return &cli.Command{
		Name: "runtime", Usage: "install or find the onnxruntime library",
		Subcommands: []*cli.Command{
			{
				Name: "install", Usage: "fetch onnxruntime " + runtime.Pinned + " by pip or npm",
				Flags: []cli.Flag{
					toggle("cuda", "the library for NVIDIA's GPUs, "+runtime.PinnedCUDA+" for CUDA 12 and cuDNN 9 (250 MB)"),
					text("from", "", "take it from a `FILE`: a library, wheel, zip or tgz"), jsonFlag(), toggle("quiet", "no notes", "q"),
				},
				Action: func(c *cli.Context) error {
					if err := e.begin(c); err != nil {
						return err
					}
					var log io.Writer
					if !e.json && !e.quiet {
						log = e.stderr
					}
					lib, err := runtime.Install(c.Context, runtime.InstallConfig{CUDA: c.Bool("cuda"), From: c.String("from"), Log: log})
					if err != nil && c.Bool("cuda") {
						return hinted{err, "install pip, or give a downloaded wheel: rtx runtime install --cuda --from onnxruntime_gpu-" + runtime.PinnedCUDA + "-*.whl"}
					}
					if err != nil {
						return hinted{err, "install pip or npm, or give a downloaded wheel: rtx runtime install --from onnxruntime-" + runtime.Pinned + "-*.whl"}
					}
					return e.library(lib)
				},
			},
			{
				Name: "path", Usage: "print the library that would be used",
				Flags: []cli.Flag{libraryFlag(), jsonFlag()},
				Action: func(c *cli.Context) error {
					if err := e.begin(c); err != nil {
						return err
					}
					lib, err := runtime.Find(c.String("onnxruntime"))
					if err != nil {
						return err
					}
					return e.library(lib)
				},
			},
		},
	}
}

func (e *env) library(lib runtime.Library) error {
	if e.json {
		e.print(e.result("rtx.runtime/1", "done", lib.Path, object{{"path", lib.Path}, {"version", lib.Version}, {"source", lib.Source}}))
		return nil
	}
	fmt.Fprintln(e.stdout, lib.Path)
	return nil
}

func doctorCommand(e *env) *cli.Command {
	return &cli.Command{
		Name: "doctor", Usage: "tell what is there, what is missing and how to get it",
		Flags:  []cli.Flag{libraryFlag(), jsonFlag()},
		Action: func(c *cli.Context) error { return e.doctor(c) },
	}
}

// finding is what rtx doctor says of one thing.
type finding struct {
	Name string `json:"name"`
	OK   bool   `json:"ok"`
	Text string `json:"text"`
	Mend string `json:"mend"` // a command, "" where nothing is missing
}

func (e *env) doctor(c *cli.Context) error {
	if err := e.begin(c); err != nil {
		return err
	}
	all, missing := findings(c.String("onnxruntime"))
	if e.json {
		if missing != nil {
			return partial{missing, e.result("rtx.doctor/1", "failed", "", object{{"code", 69}, {"findings", all}})}
		}
		e.print(e.result("rtx.doctor/1", "done", "", object{{"findings", all}}))
		return nil
	}
	var rows [][2]string
	for _, f := range all {
		mark := "ok      "
		if !f.OK {
			mark = "missing "
		}
		rows = append(rows, [2]string{f.Name, mark + f.Text})
		if f.Mend != "" {
			rows = append(rows, [2]string{"", "  get it: " + f.Mend})
		}
	}
	e.table(rows)
	return missing
}

// findings looks for what rtx uses. missing is the error where there is no
// onnxruntime.
func findings(library string) (all []finding, missing error) {
	for _, p := range runtime.Places(library) {
		if p.Err != nil {
			all = append(all, finding{"onnxruntime", false, p.Err.Error(), "remove it, or name another with --onnxruntime"})
		}
	}
	lib, missing := runtime.Find(library)
	if missing == nil {
		all = append(all, finding{"onnxruntime", true, fmt.Sprintf("%s, %s (%s)", lib.Version, lib.Path, lib.Source), ""})
	} else if len(all) == 0 {
		all = append(all, finding{"onnxruntime", false, "not found", "rtx runtime install"})
	}
	name, version := pixels.JPEGDecoder()
	jpeg := finding{"jpeg decoder", true, name + " " + version, ""}
	if name == "go" {
		jpeg.Text += ": slower, and pixels differ slightly from Pillow's"
		jpeg.Mend = turboInstall()
	}
	gpu := finding{"CUDA", true, "usable: --device cuda", ""}
	if missing != nil {
		gpu.Text = "not looked for without onnxruntime"
	} else if err := lib.CUDA(); err != nil {
		gpu.Text = "not usable, --device cpu is: " + err.Error() + cudaHint(lib, err.Error())
	}
	cache, err := runtime.CacheDir()
	if err != nil {
		cache = err.Error()
	}
	return append(all, jpeg, gpu,
		finding{"cores", true, fmt.Sprint(runtime.Cores()), ""},
		finding{"platform", true, gort.GOOS + "/" + gort.GOARCH, ""},
		finding{"cache", err == nil, cache, ""},
	), missing
}

// cudaHint says how to get a library with CUDA, where the lack of it is a reason why
// a GPU cannot be used.
func cudaHint(lib runtime.Library, why string) string {
	var lacking *runtime.NoProviderError
	if errors.As(lib.CUDA(), &lacking) && strings.Contains(why, lacking.Error()) {
		return " (rtx runtime install --cuda gets a library that has)"
	}
	return ""
}

// noGPU tells a machine without a GPU, of which only rtx doctor speaks, by the
// reason why none can be used.
func noGPU(why string) bool { return strings.Contains(why, "no NVIDIA driver") }

// turboInstall is the command that installs libjpeg-turbo here.
func turboInstall() string {
	if gort.GOOS == "darwin" {
		return "brew install jpeg-turbo"
	}
	for _, c := range [][2]string{{"apt-get", "apt-get install libturbojpeg0"}, {"dnf", "dnf install turbojpeg"}, {"apk", "apk add libjpeg-turbo"}} {
		if _, err := exec.LookPath(c[0]); err == nil {
			return c[1]
		}
	}
	return "install libturbojpeg.so.0 of libjpeg-turbo"
}
