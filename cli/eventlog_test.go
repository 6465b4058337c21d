package cli_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// readEvents prints the scalars that TensorBoard reads from a folder, by tag.
const readEvents = `
import json, sys
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
events = EventAccumulator(sys.argv[1], size_guidance={"scalars": 0})
events.Reload()
print(json.dumps({tag: [[e.step, e.value] for e in events.Scalars(tag)] for tag in events.Tags()["scalars"]}))
`

// TestParityTensorBoard has TensorBoard's own reader find in the event file of a run,
// interrupted and gone on with, what metrics.jsonl has: make parity.
func TestParityTensorBoard(t *testing.T) {
	python := os.Getenv("PYTHON")
	if python == "" {
		t.Skip("PYTHON names an interpreter with tensorboard: make parity")
	}
	needLibrary(t)
	if out, err := exec.Command(python, "-c", "import tensorboard").CombinedOutput(); err != nil {
		lines := strings.Split(strings.TrimSpace(string(out)), "\n")
		if os.Getenv("RTX_REQUIRE_PEERS") == "1" {
			t.Fatal(lines[len(lines)-1])
		}
		t.Skipf("SKIPPED: %s: %s", python, lines[len(lines)-1])
	}
	run := filepath.Join(t.TempDir(), "run")
	args := longRun(t, "--log", "tensorboard")(run)
	cmd := command(t, args...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	until(t, filepath.Join(run, "metrics.jsonl"), 14)
	cmd.Process.Signal(syscall.SIGKILL)
	cmd.Wait()
	done(t, args)
	var stdout, stderr bytes.Buffer
	cmd = exec.Command(python, "-W", "ignore", "-c", readEvents, run)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v: %s", err, stderr.String())
	}
	var got map[string][][2]float64
	if err := json.Unmarshal(stdout.Bytes(), &got); err != nil {
		t.Fatalf("%v: %s", err, stdout.String())
	}
	want, step := map[string][][2]float64{}, 0.0
	add := func(tag string, value any) {
		if v, known := value.(float64); known {
			want[tag] = append(want[tag], [2]float64{step, float64(float32(v))})
		}
	}
	for _, line := range metrics(t, run) {
		switch line["event"] {
		case "step":
			step = line["step"].(float64)
			add("train/loss", line["loss"])
			add("train/lr", line["lr"])
		case "eval":
			for _, figure := range []string{"loss", "top1", "mean_per_class"} {
				add(fmt.Sprint(line["split"], "/", figure), line[figure])
			}
			add("train/epoch_loss", line["train_loss"])
		}
	}
	if len(want["train/loss"]) != 64 || len(want["val/top1"]) < 8 || len(want["test/top1"]) != 1 {
		t.Fatalf("%d steps, %d epochs", len(want["train/loss"]), len(want["val/top1"]))
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("TensorBoard reads\n%v\nand metrics.jsonl has\n%v", got, want)
	}
}

// TestFinetuneLog wants an event file only where it is asked for, and --overwrite to take it
// away.
func TestFinetuneLog(t *testing.T) {
	needLibrary(t)
	run := filepath.Join(t.TempDir(), "run")
	args := []string{"-m", small(t, 2), "-d", splits(t, 2, map[string]int{"": 20}), "-o", run, "--epochs", "1", "-b", "8"}
	file := filepath.Join(run, "events.out.tfevents.rtx")
	trained(t, append(args, "--log", "tensorboard")...)
	if data := readFile(t, file); !bytes.Contains(data, []byte("brain.Event:2")) || !bytes.Contains(data, []byte("val/top1")) {
		t.Errorf("%q", data)
	}
	if text := string(readFile(t, run, "args.yaml")); !strings.Contains(text, "log: tensorboard\n") {
		t.Errorf("args.yaml:\n%s", text)
	}
	trained(t, append(args, "--overwrite")...)
	if _, err := os.Stat(file); err == nil {
		t.Error("the event file of the run before is there")
	}
	refused(t, append([]string{"finetune"}, append(args, "--log", "wandb")...), "", 2, `--log is "wandb", expected tensorboard`, "")
}
