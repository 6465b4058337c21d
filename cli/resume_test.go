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

// longRun is the arguments of a training of 64 short steps in 8 epochs, but for
// --out.
func longRun(t *testing.T, more ...string) func(out string) []string {
	t.Helper()
	model, data := small(t, 2), splits(t, 2, map[string]int{"train": 128, "val": 20, "test": 20})
	return func(out string) []string {
		return append([]string{"finetune", "-m", model, "-d", data, "--epochs", "8", "-b", "16", "--ema", "0.9", "--patience", "-1", "--json", "-o", out}, more...)
	}
}

// done runs a command to its end and returns how long that took.
func done(t *testing.T, args []string) time.Duration {
	t.Helper()
	start := time.Now()
	if o := rtx(t, args...); o.code != 0 || object(t, o.stdout)["status"] != "done" {
		t.Fatalf("%+v", o)
	}
	return time.Since(start)
}

// TestFinetuneKilled ends training at 25 random moments and runs it again.
func TestFinetuneKilled(t *testing.T) {
	needLibrary(t)
	if testing.Short() {
		t.Skip("50 trainings")
	}
	args, base := longRun(t, "--epochs", "5"), t.TempDir()
	want := filepath.Join(base, "want")
	whole := done(t, args(want))
	killed, continued := 0, 0
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
		if _, err := os.Stat(filepath.Join(out, "state", "state.safetensors")); err == nil {
			continued++
		}
		if o := rtx(t, args(out)...); o.code != 0 {
			t.Fatalf("%+v", o)
		}
		sameRun(t, out, want)
		// Nothing is left of what was under way.
		left, _ := filepath.Glob(filepath.Join(out, "*", "*"))
		for _, name := range left {
			if strings.HasSuffix(name, ".part") || strings.HasSuffix(name, ".safetensors") || strings.HasPrefix(filepath.Base(name), ".") {
				t.Errorf("%s is left", name)
			}
		}
	}
	t.Logf("killed %d times, went on from a checkpoint %d times", killed, continued)
	if killed == 0 || continued == 0 {
		t.Error("the test did not interrupt anything")
	}
}

// until waits for so many lines of a file.
func until(t *testing.T, file string, lines int) {
	t.Helper()
	for range 30000 {
		if text, err := os.ReadFile(file); err == nil && bytes.Count(text, []byte("\n")) >= lines {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Fatalf("%s has not got %d lines", file, lines)
}

// TestFinetuneSignals interrupts training politely, in the midst of an epoch, and
// goes on with it.
func TestFinetuneSignals(t *testing.T) {
	needLibrary(t)
	for engine, after := range map[string]map[syscall.Signal]int{"ort": {syscall.SIGINT: 14, syscall.SIGTERM: 30}, "tape": {syscall.SIGTERM: 13}} {
		args, base := longRun(t, "--engine", engine), t.TempDir()
		if engine == "tape" {
			args = longRun(t, "--engine", engine, "--epochs", "3")
		}
		want := filepath.Join(base, "want")
		done(t, args(want))
		for signal, lines := range after {
			code := 128 + int(signal)
			out := filepath.Join(base, fmt.Sprint(code))
			cmd := command(t, args(out)...)
			var stdout, stderr bytes.Buffer
			cmd.Stdout, cmd.Stderr = &stdout, &stderr
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			until(t, filepath.Join(out, "metrics.jsonl"), lines)
			cmd.Process.Signal(signal)
			cmd.Wait()
			if got := cmd.ProcessState.ExitCode(); got != code || stderr.Len() > 0 {
				t.Fatalf("%s, %v: exit %d, want %d: %s %s", engine, signal, got, code, stdout.String(), stderr.String())
			}
			if o := object(t, stdout.String()); o["status"] != "interrupted" || o["schema"] != "rtx.finetune/1" || o["out"] != out {
				t.Errorf("%s, %v: %v", engine, signal, o)
			}
			before := metrics(t, out)
			last := before[len(before)-1]
			t.Logf("%s, %v: ended after %v", engine, signal, last)
			// What an end at once would have left behind the checkpoint is done again.
			file := filepath.Join(out, "metrics.jsonl")
			if err := os.WriteFile(file, append(readFile(t, file), "{\"event\":\"step\",\"step\":99}\n{\"even"...), 0o666); err != nil {
				t.Fatal(err)
			}
			// --resume alone goes on, and says so.
			o := rtx(t, "finetune", "--resume", out)
			if o.code != 0 || !strings.Contains(o.stderr, "going on after step ") || strings.Contains(o.stderr, "going on after step 0") {
				t.Errorf("%s, %v: resumed: %+v", engine, signal, o)
			}
			sameRun(t, out, want)
		}
	}
}

// TestFinetuneLocked wants a second process to keep out.
func TestFinetuneLocked(t *testing.T) {
	needLibrary(t)
	args, base := longRun(t, "--epochs", "100000"), t.TempDir()
	out := filepath.Join(base, "run")
	cmd := command(t, args(out)...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { cmd.Process.Kill(); cmd.Wait() }()
	until(t, filepath.Join(out, "metrics.jsonl"), 3)
	for _, more := range [][]string{nil, {"--overwrite"}, {"--lr", "3"}} {
		o := rtx(t, append(args(out), more...)...)
		if e := object(t, o.stdout); o.code != 75 || e["code"] != 75.0 || !strings.Contains(fmt.Sprint(e["hint"]), "other process") {
			t.Errorf("%q: %+v", more, o)
		}
	}
}

// TestFinetuneDiskFull runs out of space between two checkpoints, keeps the first,
// and goes on from it when there is more.
func TestFinetuneDiskFull(t *testing.T) {
	needLibrary(t)
	if runtime.GOOS != "linux" || os.Getuid() != 0 {
		t.Skip("mounting a small file system needs root on Linux")
	}
	args := longRun(t)
	want := filepath.Join(t.TempDir(), "want")
	done(t, args(want))
	for _, size := range []string{"500k", "4200k", "4900k", "5600k"} { // of a checkpoint: some 3.5 MB
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
			sameRun(t, out, want)
		})
	}
}
