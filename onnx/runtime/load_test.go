package runtime

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	gort "runtime"
	"strings"
	"testing"
	"time"

	ort "github.com/yalue/onnxruntime_go"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/arch"
)

// loaded is what a child process reports of opening a session.
type loaded struct {
	Seconds float64
	Peak    int64 // bytes, of resident memory
}

// TestMain is also the child: RTX_LOAD=bare or rtx opens RTX_LOAD_FILE. Without
// onnxruntime it leaves out the Examples, which cannot skip themselves, and says
// so.
func TestMain(m *testing.M) {
	mode := os.Getenv("RTX_LOAD")
	if mode == "" {
		flag.Parse()
		if _, err := Find(""); err != nil && os.Getenv("RTX_REQUIRE_ORT") != "1" {
			fmt.Fprintf(os.Stderr, "Examples are skipped: %v: rtx runtime install\n", err)
			skip := flag.Lookup("test.skip")
			skip.Value.Set(strings.TrimPrefix(skip.Value.String()+"|^Example", "|"))
		}
		os.Exit(m.Run())
	}
	start := time.Now()
	if err := load(mode, os.Getenv("RTX_LOAD_FILE")); err != nil {
		panic(err)
	}
	seconds := time.Since(start).Seconds()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		panic(err)
	}
	var kb int64
	for _, line := range strings.Split(string(status), "\n") {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			if err := json.Unmarshal([]byte(strings.Fields(rest)[0]), &kb); err != nil {
				panic(err)
			}
		}
	}
	if err := json.NewEncoder(os.Stdout).Encode(loaded{seconds, kb << 10}); err != nil {
		panic(err)
	}
}

func load(mode, file string) error {
	lib, err := Find("")
	if err != nil {
		return err
	}
	if mode == "bare" {
		if err := start(lib); err != nil {
			return err
		}
		_, err := ort.NewDynamicAdvancedSession(file, []string{"images"}, []string{"features"}, nil)
		return err
	}
	m, err := onnx.Load(file)
	if err != nil {
		return err
	}
	if _, err := m.SHA256(); err != nil {
		return err
	}
	spec, _, err := m.Spec()
	if err != nil {
		return err
	}
	g, err := m.ForImages(spec, onnx.ImageConfig{})
	if err != nil {
		return err
	}
	_, err = Open(g, Options{Library: lib, Device: "cpu"})
	return err
}

func child(t testing.TB, mode, file string) loaded {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "RTX_LOAD="+mode, "RTX_LOAD_FILE="+file)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var l loaded
	if err := json.Unmarshal(out, &l); err != nil {
		t.Fatalf("%v: %q", err, out)
	}
	return l
}

func build(t testing.TB, name string) (file string, weights int64) {
	t.Helper()
	if gort.GOOS != "linux" {
		t.Skip("peak memory is read from /proc")
	}
	if _, err := Find(""); err != nil {
		if os.Getenv("RTX_REQUIRE_ORT") == "1" {
			t.Fatal(err)
		}
		t.Skipf("%v: rtx runtime install", err)
	}
	m, err := arch.Synthetic(name, 1000)
	if err != nil {
		t.Fatal(err)
	}
	file = filepath.Join(t.TempDir(), name+".onnx")
	if err := m.Save(file); err != nil {
		t.Fatal(err)
	}
	return file, m.Inspect().Bytes
}

// TestLargeModel opens WRN-50-4, 0.9 GB, by the library alone and by rtx, and
// bounds what rtx takes on top.
func TestLargeModel(t *testing.T) {
	if testing.Short() {
		t.Skip("a model of 0.9 GB")
	}
	file, weights := build(t, "wide_resnet50_4")
	bare, ours := child(t, "bare", file), child(t, "rtx", file)
	const mb = 1e6
	t.Logf("weights %.0f MB, peak memory: library %.0f MB, rtx %.0f MB", float64(weights)/mb, float64(bare.Peak)/mb, float64(ours.Peak)/mb)
	if float64(ours.Peak) > float64(bare.Peak)+1.3*float64(weights) {
		t.Errorf("rtx takes %.2f times the weights more than the library", float64(ours.Peak-bare.Peak)/float64(weights))
	}
}

// BenchmarkOpen is the time to a ready session of ResNet-50, 102 MB, as a
// multiple of the library's own.
func BenchmarkOpen(b *testing.B) {
	file, _ := build(b, "resnet50")
	var bare, ours float64
	for b.Loop() {
		bare += child(b, "bare", file).Seconds
		ours += child(b, "rtx", file).Seconds
	}
	b.ReportMetric(ours/bare, "x-library")
	b.ReportMetric(bare/float64(b.N), "library-s")
	b.ReportMetric(ours/float64(b.N), "rtx-s")
}
