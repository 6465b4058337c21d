package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// tenth is the share of a verb's time and memory up to which the independent
// reading of its file is always done, and above which only on request.
const tenth = "> 0.1: on request"

// verifications measures what an independent reading adds to the verbs that write
// models, for a large network and a small one: of the time, and of the most
// memory.
func (b *bench) verifications(ctx context.Context) error {
	rtx, err := b.build(ctx)
	if err != nil {
		return err
	}
	for _, name := range []string{"resnet50", "resnet8"} {
		file, model := filepath.Join(b.dir, name+".pt"), filepath.Join(b.dir, name+".onnx")
		if _, err := twice(file, name); err != nil {
			return err
		}
		for _, verb := range [][]string{{"import", file, "-o", model}, {"export", model, "-o", filepath.Join(b.dir, "exported.onnx")}} {
			if err := b.verified(ctx, name, append([]string{rtx}, verb...)); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
		if err := os.Remove(file); err != nil {
			return err
		}
	}
	if err := b.trainingVerified(ctx, rtx, "resnet50", 224, 32, 1); err != nil {
		return err
	}
	return b.trainingVerified(ctx, rtx, "resnet8", 32, 256, 2)
}

// build makes the program.
func (b *bench) build(ctx context.Context) (string, error) {
	rtx := filepath.Join(b.dir, "rtx")
	if out, err := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", rtx, "./cli/rtx").CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return rtx, nil
}

// verified compares a command with the same and --verify.
func (b *bench) verified(ctx context.Context, name string, command []string) error {
	var times, peaks [2][]float64
	var longer, larger []float64
	for range b.rounds {
		for i, more := range [][]string{{"--overwrite", "-q"}, {"--overwrite", "-q", "--verify"}} {
			t, peak, err := process(ctx, command[0], append(command[1:len(command):len(command)], more...)...)
			if err != nil {
				return err
			}
			times[i], peaks[i] = append(times[i], t), append(peaks[i], peak)
		}
		last := len(times[0]) - 1
		longer, larger = append(longer, times[1][last]/times[0][last]-1), append(larger, peaks[1][last]/peaks[0][last]-1)
	}
	b.rows = append(b.rows,
		row{fmt.Sprintf("%s of %s with --verify, time added", command[1], name), fmt.Sprintf("%.0f ms", 1000*median(times[1])), fmt.Sprintf("%.0f ms without", 1000*median(times[0])), median(longer), tenth},
		row{"the same, peak resident memory added", fmt.Sprintf("%.0f MB", median(peaks[1])/1e6), fmt.Sprintf("%.0f MB without", median(peaks[0])/1e6), median(larger), tenth})
	b.notes = append(b.notes, fmt.Sprintf("  %s of %s: added time %.2f, memory %.2f", command[1], name, longer, larger))
	return nil
}

// trainingVerified measures what the independent reading of both files of
// weights takes of a training that is as short as they come. Its memory is at
// most what rtx inspect takes more with --verify.
func (b *bench) trainingVerified(ctx context.Context, rtx, name string, side, images, epochs int) error {
	model, run := filepath.Join(b.dir, name+"-new.onnx"), filepath.Join(b.dir, "run")
	data, err := b.draw("train-"+name, images, side, side)
	if err != nil {
		return err
	}
	if _, _, err := process(ctx, rtx, "new", "--arch", name, "--classes", "2", "-o", model, "-q", "--overwrite"); err != nil {
		return err
	}
	var shares, times, whole, larger, peaks, most []float64
	for range b.rounds {
		t, peak, err := process(ctx, rtx, "finetune", "-m", model, "-d", data, "-o", run, "--epochs", fmt.Sprint(epochs), "--overwrite", "-q")
		if err != nil {
			return err
		}
		took, err := verifySeconds(filepath.Join(run, "run.json"))
		if err != nil {
			return err
		}
		_, plain, err := process(ctx, rtx, "inspect", filepath.Join(run, "weights", "best.onnx"))
		if err != nil {
			return err
		}
		_, more, err := process(ctx, rtx, "inspect", "--verify", filepath.Join(run, "weights", "best.onnx"))
		if err != nil {
			return err
		}
		shares, times, whole = append(shares, took/(t-took)), append(times, took), append(whole, t)
		larger, peaks, most = append(larger, (more-plain)/peak), append(peaks, more-plain), append(most, peak)
	}
	b.rows = append(b.rows,
		row{fmt.Sprintf("verifying both weights of %d epochs of %s, %d images of %d, time added", epochs, name, images, side), fmt.Sprintf("%.0f ms", 1000*median(times)), fmt.Sprintf("%.1f s in all", median(whole)), median(shares), tenth},
		row{"the same, resident memory added at most", fmt.Sprintf("%.0f MB", median(peaks)/1e6), fmt.Sprintf("%.0f MB in all", median(most)/1e6), median(larger), tenth})
	b.notes = append(b.notes, fmt.Sprintf("  finetune of %s: share of time %.3f, of memory %.3f", name, shares, larger))
	return nil
}

// verifySeconds is the time that verifying took, of a run.json.
func verifySeconds(file string) (float64, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	type reading struct{ Seconds float64 }
	var run struct {
		Trials []struct{ Verify struct{ Best, Last reading } }
	}
	if err := json.Unmarshal(data, &run); err != nil {
		return 0, err
	}
	sum := 0.0
	for _, t := range run.Trials {
		sum += t.Verify.Best.Seconds + t.Verify.Last.Seconds
	}
	if sum == 0 {
		return 0, fmt.Errorf("%s tells no time of verifying", file)
	}
	return sum, nil
}
