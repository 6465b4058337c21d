package cli_test

// The program as a user runs it: a real process, real files, real signals.

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/png"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/robust-transfer/rtx/assets/shapes"
	"github.com/robust-transfer/rtx/onnx/arch"
)

// program is the built rtx, once for all tests.
var program = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "rtx-test")
	if err != nil {
		return "", err
	}
	bin := filepath.Join(dir, "rtx")
	out, err := exec.Command("go", "build", "-o", bin, "./rtx").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return bin, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if bin, err := program(); err == nil {
		os.RemoveAll(filepath.Dir(bin))
	}
	os.Exit(code)
}

// outcome is the exit code and the output of a process.
type outcome struct {
	code           int
	stdout, stderr string
}

func command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	bin, err := program()
	if err != nil {
		t.Fatal(err)
	}
	return exec.Command(bin, args...)
}

func finish(t *testing.T, cmd *exec.Cmd) outcome {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return outcome{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

func rtx(t *testing.T, args ...string) outcome {
	t.Helper()
	return finish(t, command(t, args...))
}

// needLibrary skips where there is no onnxruntime, unless it must be there.
func needLibrary(t *testing.T) {
	t.Helper()
	if rtx(t, "runtime", "path").code == 0 {
		return
	}
	if os.Getenv("RTX_REQUIRE_ORT") == "1" {
		t.Fatal("onnxruntime is required (RTX_REQUIRE_ORT=1) and was not found: rtx runtime install")
	}
	t.Skip("onnxruntime was not found: rtx runtime install")
}

// sharedData is the folder of test data that does not ship.
func sharedData(t *testing.T, name string) string {
	t.Helper()
	root := os.Getenv("RTX_SHARED_DATA")
	if root == "" {
		root = filepath.Join("..", "..", "shared", "data")
	}
	file := filepath.Join(root, name)
	if _, err := os.Stat(file); err != nil {
		t.Skipf("test data %s is not there (RTX_SHARED_DATA names its folder)", name)
	}
	return file
}

func untar(t *testing.T, file string, members ...string) string {
	t.Helper()
	dir := t.TempDir()
	if out, err := exec.Command("tar", append([]string{"-xf", file, "-C", dir}, members...)...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return dir
}

var backbone = filepath.Join("..", "assets", "backbones", "resnet8_std.onnx")

// drawn writes n shapes into class folders.
func drawn(t *testing.T, n int) string {
	t.Helper()
	root := t.TempDir()
	for i := range n {
		writePNG(t, filepath.Join(root, shapes.Names[i%len(shapes.Names)], fmt.Sprintf("%04d.png", i)), shapes.Draw(i%len(shapes.Names), uint64(i), shapes.Config{Size: 48}))
	}
	return root
}

func writePNG(t *testing.T, file string, m image.Image) {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, b.Bytes(), 0o666); err != nil {
		t.Fatal(err)
	}
}

var compared = []string{"features.npy", "labels.npy", "classes.txt", "manifest.jsonl"}

func sameFiles(t *testing.T, got, want string) {
	t.Helper()
	for _, name := range compared {
		a, err := os.ReadFile(filepath.Join(got, name))
		if err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(filepath.Join(want, name))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(a, b) {
			t.Errorf("%s differs from that of an undisturbed run", name)
		}
	}
}

func object(t *testing.T, text string) map[string]any {
	t.Helper()
	if strings.Count(text, "\n") != 1 {
		t.Fatalf("stdout is not one line: %q", text)
	}
	var o map[string]any
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		t.Fatalf("%v: %q", err, text)
	}
	return o
}

// TestKilled ends the program at 25 random moments and runs it again.
func TestKilled(t *testing.T) {
	needLibrary(t)
	data, base := drawn(t, 400), t.TempDir()
	args := func(out string) []string {
		return []string{"featurize", "-m", backbone, "-d", data, "-o", out, "-b", "8", "--json"}
	}
	want := filepath.Join(base, "want")
	start := time.Now()
	if o := rtx(t, args(want)...); o.code != 0 {
		t.Fatal(o)
	}
	whole := time.Since(start)
	killed, reused := 0, 0
	for i := range 25 {
		out := filepath.Join(base, fmt.Sprint(i))
		cmd := command(t, args(out)...)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(rand.N(whole))
		cmd.Process.Kill()
		if cmd.Wait() != nil {
			killed++
		}
		o := rtx(t, args(out)...)
		if o.code != 0 {
			t.Fatal(o)
		}
		if n, _ := object(t, o.stdout)["reused"].(float64); n > 0 {
			reused++
		}
		sameFiles(t, out, want)
	}
	t.Logf("killed %d times, rows were reused %d times", killed, reused)
	if killed == 0 || reused == 0 {
		t.Error("the test did not interrupt anything")
	}
}

// TestSignals ends the program by signals that let it save its state.
func TestSignals(t *testing.T) {
	needLibrary(t)
	data, base := drawn(t, 1500), t.TempDir()
	want := filepath.Join(base, "want")
	if o := rtx(t, "featurize", "-m", backbone, "-d", data, "-o", want, "-b", "8", "-q"); o.code != 0 {
		t.Fatal(o)
	}
	for _, c := range []struct {
		signal syscall.Signal
		code   int
	}{{syscall.SIGINT, 130}, {syscall.SIGTERM, 143}} {
		out := filepath.Join(base, fmt.Sprint(c.code))
		args := []string{"featurize", "-m", backbone, "-d", data, "-o", out, "-b", "8", "--json"}
		cmd := command(t, args...)
		var stdout, stderr bytes.Buffer
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		for part := filepath.Join(out, ".rtx", "part.jsonl"); ; time.Sleep(time.Millisecond) {
			if info, err := os.Stat(part); err == nil && info.Size() > 0 {
				break
			}
			if cmd.ProcessState != nil {
				t.Fatal("ended before it began")
			}
		}
		cmd.Process.Signal(c.signal)
		cmd.Wait()
		if got := cmd.ProcessState.ExitCode(); got != c.code {
			t.Errorf("%v: exit %d, want %d: %s %s", c.signal, got, c.code, stdout.String(), stderr.String())
		}
		if o := object(t, stdout.String()); o["status"] != "interrupted" {
			t.Errorf("%v: %v", c.signal, o)
		}
		if o := rtx(t, args...); o.code != 0 || object(t, o.stdout)["reused"].(float64) == 0 {
			t.Errorf("%v: resumed: %v", c.signal, o)
		}
		sameFiles(t, out, want)
	}
}

// TestSignalWhileWaiting interrupts a command to whose standard input nothing
// comes any more, before the first image and after some.
func TestSignalWhileWaiting(t *testing.T) {
	needLibrary(t)
	archive, err := os.ReadFile(packed(t, drawn(t, 20))["tar"])
	if err != nil {
		t.Fatal(err)
	}
	for _, sent := range [][]byte{nil, archive[:len(archive)/2]} {
		out := filepath.Join(t.TempDir(), "out")
		cmd := command(t, "featurize", "-m", backbone, "-d", "-", "-o", out, "-b", "8", "--json")
		var stdout bytes.Buffer
		cmd.Stdout = &stdout
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		in.Write(sent)
		begun := filepath.Join(out, ".rtx", "config.json")
		for range 10000 {
			if _, err := os.Stat(begun); err == nil {
				break
			}
			time.Sleep(time.Millisecond)
		}
		cmd.Process.Signal(syscall.SIGINT)
		hung := time.AfterFunc(20*time.Second, func() { cmd.Process.Kill() })
		cmd.Wait()
		hung.Stop()
		if got := cmd.ProcessState.ExitCode(); got != 130 || object(t, stdout.String())["status"] != "interrupted" {
			t.Errorf("%d bytes sent: exit %d, %s", len(sent), got, stdout.String())
		}
	}
}

// TestDiskFull runs out of space on a small file system of its own, then has
// more room.
func TestDiskFull(t *testing.T) {
	needLibrary(t)
	if runtime.GOOS != "linux" || os.Getuid() != 0 {
		t.Skip("mounting a small file system needs root on Linux")
	}
	mount := t.TempDir()
	if err := syscall.Mount("tmpfs", mount, "tmpfs", 0, "size=160k"); err != nil {
		t.Skipf("cannot mount a small file system: %v", err)
	}
	defer syscall.Unmount(mount, 0)
	data, want := drawn(t, 600), filepath.Join(t.TempDir(), "want")
	if o := rtx(t, "featurize", "-m", backbone, "-d", data, "-o", want, "-q"); o.code != 0 {
		t.Fatal(o)
	}
	out := filepath.Join(mount, "set")
	args := []string{"featurize", "-m", backbone, "-d", data, "-o", out, "--json"}
	o := rtx(t, args...)
	if e := object(t, o.stdout); o.code != 75 || e["code"] != float64(75) || e["hint"] == "" {
		t.Errorf("on a full disk: %v", o)
	}
	if err := syscall.Mount("tmpfs", mount, "tmpfs", syscall.MS_REMOUNT, "size=4m"); err != nil {
		t.Fatal(err)
	}
	o = rtx(t, args...)
	if o.code != 0 || object(t, o.stdout)["reused"].(float64) == 0 {
		t.Errorf("with room again: %v", o)
	}
	sameFiles(t, out, want)
}

// TestRealSets featurizes real photographs with real networks.
func TestRealSets(t *testing.T) {
	needLibrary(t)
	if testing.Short() {
		t.Skip("some thousand real images")
	}
	base := t.TempDir()
	t.Run("sign-digits, MobileNet", func(t *testing.T) {
		model := sharedData(t, "nets/mobilenetv1_1.0_imagenet_trunc_pw12.onnx")
		data := untar(t, sharedData(t, "images/sign-digits.tar"))
		o := rtx(t, "featurize", "-m", model, "-d", filepath.Join(data, "sign-digits"), "-o", filepath.Join(base, "signs"), "--range", "-1..1", "--json")
		checkShape(t, o, 2059, 1024)
		// Each quarter is judged by what the other three taught; features of
		// random weights show what the photographs give away by themselves.
		m, err := arch.Synthetic("resnet8", 10)
		if err != nil {
			t.Fatal(err)
		}
		random := filepath.Join(base, "random.onnx")
		if err := m.Save(random); err != nil {
			t.Fatal(err)
		}
		if o := rtx(t, "featurize", "-m", random, "-d", filepath.Join(data, "sign-digits"), "-o", filepath.Join(base, "random"), "-q"); o.code != 0 {
			t.Fatalf("%+v", o)
		}
		top1 := map[string]float64{}
		for _, set := range []string{"signs", "random"} {
			top1[set] = probed(t, "-d", filepath.Join(base, set), "-o", filepath.Join(base, set+"-probe"), "--folds", "4", "--reg", "0.01")["top1"].(float64)
		}
		t.Logf("top-1 on held-out quarters: MobileNet %.4f, ResNet-8 of random weights %.4f", top1["signs"], top1["random"])
		if !(top1["signs"] >= 0.95) || !(top1["random"] < top1["signs"]) {
			t.Errorf("top-1 %v", top1)
		}
	})
	t.Run("CIFAR-10 test, ResNet-20", func(t *testing.T) {
		model := sharedData(t, "nets/resnet20_op13_bn.onnx")
		data := untar(t, sharedData(t, "images/cifar10-jpeg.tar"), "cifar10-jpeg/test")
		o := rtx(t, "featurize", "-m", model, "-d", filepath.Join(data, "cifar10-jpeg", "test"), "-o", filepath.Join(base, "cifar"), "--json")
		checkShape(t, o, 5000, 64)
	})
	t.Run("our nets normalise themselves", func(t *testing.T) {
		o := rtx(t, "inspect", sharedData(t, "ours/resnet8_cifar_std.onnx"), "--json")
		spec, _ := object(t, o.stdout)["spec"].(map[string]any)
		if o.code != 0 || spec["normalized"] != true {
			t.Errorf("%v", o)
		}
	})
}

func checkShape(t *testing.T, o outcome, samples, dim float64) {
	t.Helper()
	if o.code != 0 {
		t.Fatal(o)
	}
	if r := object(t, o.stdout); r["samples"] != samples || r["dim"] != dim || r["skipped"] != 0.0 {
		t.Errorf("got %v, want %v samples of %v features", r, samples, dim)
	}
}
