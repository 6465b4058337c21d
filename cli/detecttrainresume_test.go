package cli_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// longDetection is the arguments of a training of 12 short steps in 4 epochs, but for
// --out.
func longDetection(t *testing.T) func(out string) []string {
	t.Helper()
	model, data := learnable(t, "fasterrcnn_tiny_fpn"), shapesSet(t, 6, 2)
	return func(out string) []string {
		return []string{"detect", "-m", model, "-d", data, "--epochs", "4", "-b", "2", "--ema", "0.9", "--empty", "keep", "--json", "-o", out}
	}
}

// sameDetections wants two runs to have the same files, byte for byte.
func sameDetections(t *testing.T, got, want string) {
	t.Helper()
	sameRun(t, got, want)
	if name := "val/predictions.json"; !bytes.Equal(readFile(t, got, name), readFile(t, want, name)) {
		t.Errorf("%s differs from that of an undisturbed run", name)
	}
}

// killedDetections kills trainings at random moments and runs them again.
func killedDetections(t *testing.T, times int) {
	args, base := longDetection(t), t.TempDir()
	want := filepath.Join(base, "want")
	whole := done(t, args(want))
	killed, continued := 0, 0
	for i := range times {
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
		if _, err := os.Stat(filepath.Join(out, "state", "state.safetensors")); err == nil {
			continued++
		}
		if o := rtx(t, args(out)...); o.code != 0 {
			t.Fatalf("%+v", o)
		}
		sameDetections(t, out, want)
	}
	t.Logf("killed %d of %d times, went on from a checkpoint %d times", killed, times, continued)
	if killed == 0 || continued == 0 && times > 10 {
		t.Error("the test did not interrupt anything")
	}
}

// TestDetectTrainKilled ends training at two random moments, and runs it again.
func TestDetectTrainKilled(t *testing.T) {
	needLibrary(t)
	if testing.Short() {
		t.Skip("5 trainings")
	}
	killedDetections(t, 2)
}

// TestParityDetectTrainKilled ends training at 25 random moments, and runs it again.
func TestParityDetectTrainKilled(t *testing.T) {
	if os.Getenv("RTX_PARITY") != "1" {
		t.Skip("51 trainings: make parity")
	}
	needLibrary(t)
	killedDetections(t, 25)
}

// TestDetectTrainDiskFull runs out of space at four places, and goes on from the last
// checkpoint when there is more.
func TestDetectTrainDiskFull(t *testing.T) {
	needLibrary(t)
	if runtime.GOOS != "linux" || os.Getuid() != 0 {
		t.Skip("mounting a small file system needs root on Linux")
	}
	if testing.Short() {
		t.Skip("9 trainings")
	}
	args := longDetection(t)
	want := filepath.Join(t.TempDir(), "want")
	done(t, args(want))
	for _, size := range []string{"100k", "1500k", "6500k", "9000k"} { // a checkpoint takes some 6 MB
		t.Run(size, func(t *testing.T) {
			mount := t.TempDir()
			if err := syscall.Mount("tmpfs", mount, "tmpfs", 0, "size="+size); err != nil {
				t.Skipf("cannot mount a small file system: %v", err)
			}
			defer syscall.Unmount(mount, 0)
			out := filepath.Join(mount, "run")
			o := rtx(t, args(out)...)
			if e := object(t, o.stdout); o.code != 75 || e["code"] != 75.0 || !strings.Contains(fmt.Sprint(e["error"]), "no space left") || !strings.Contains(fmt.Sprint(e["hint"]), "make room") || o.stderr != "" {
				t.Errorf("on a full disk: %+v", o)
			}
			_, err := os.Stat(filepath.Join(out, "state", "state.safetensors"))
			if err := syscall.Mount("tmpfs", mount, "tmpfs", syscall.MS_REMOUNT, "size=64m"); err != nil {
				t.Fatal(err)
			}
			o = rtx(t, append(args(out), "--json=false")...)
			if o.code != 0 || strings.Contains(o.stderr, "going on after step") != (err == nil) {
				t.Errorf("with room again, checkpoint %v: %+v", err, o)
			}
			t.Logf("a checkpoint was kept: %v", err == nil)
			sameDetections(t, out, want)
		})
	}
}

// TestDetectTrainSignals interrupts training politely, in the midst of an epoch, and goes
// on with it.
func TestDetectTrainSignals(t *testing.T) {
	needLibrary(t)
	args, base := longDetection(t), t.TempDir()
	want, out := filepath.Join(base, "want"), filepath.Join(base, "out")
	done(t, args(want))
	cmd := command(t, args(out)...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	until(t, filepath.Join(out, "metrics.jsonl"), 3)
	cmd.Process.Signal(syscall.SIGTERM)
	cmd.Wait()
	if code, o := cmd.ProcessState.ExitCode(), object(t, stdout.String()); code != 143 || stderr.Len() > 0 || o["status"] != "interrupted" || o["schema"] != "rtx.detect/1" || o["out"] != out {
		t.Fatalf("exit %d: %s %s", code, stdout.String(), stderr.String())
	}
	o := rtx(t, "detect", "--resume", out)
	if o.code != 0 || !strings.Contains(o.stderr, "going on after step ") || strings.Contains(o.stderr, "going on after step 0") {
		t.Errorf("resumed: %+v", o)
	}
	sameDetections(t, out, want)
}
