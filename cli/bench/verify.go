package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// tenth is the share of a verb's time and memory up to which the independent
// reading of its file is always done, and above which only on request.
const tenth = "<= 0.1: always"

// verifications measures what --verify adds to the verbs that write models, for a
// large network and a small one: of the time, and of the most memory.
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
	return nil
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
