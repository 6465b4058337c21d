package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/robust-transfer/rtx/featurize"
	"github.com/robust-transfer/rtx/featurize/pixels"
	"github.com/robust-transfer/rtx/onnx/arch"
	"github.com/robust-transfer/rtx/onnx/runtime"
)

// network is a session and how its input is made.
type network struct {
	*runtime.Images
	transform featurize.Transform
}

const batch = 32

func (b *bench) open(ctx context.Context, name string) (*network, error) {
	m, err := arch.Synthetic(name, 10)
	if err != nil {
		return nil, err
	}
	spec, _, err := m.Spec()
	if err != nil {
		return nil, err
	}
	s, err := runtime.OpenImages(ctx, m, spec, runtime.ImagesConfig{Pool: true, BatchSize: batch}, runtime.Options{Library: b.lib, Device: "cpu"})
	if err != nil {
		return nil, err
	}
	return &network{s, featurize.TransformOf(spec)}, nil
}

// job featurizes a folder. It returns the seconds in all, and the seconds from the
// last image to the end.
func (b *bench) job(ctx context.Context, n *network, data, format string) (whole, after float64, err error) {
	start := time.Now()
	listing, err := featurize.Source(ctx, data, featurize.SourceConfig{})
	if err != nil {
		return 0, 0, err
	}
	out := filepath.Join(b.dir, "set")
	if err := os.RemoveAll(out); err != nil {
		return 0, 0, err
	}
	var last time.Time
	j := featurize.Job{
		Out: out, Listing: listing, Format: format, RowDims: n.Row,
		Open: func(context.Context) (*featurize.Extractor, error) {
			return &featurize.Extractor{Network: n, Transform: n.transform, BatchSize: batch, Workers: runtime.Cores()}, nil
		},
		Progress: func(int, int) { last = time.Now() },
	}
	_, err = j.Run(ctx)
	return time.Since(start).Seconds(), time.Since(last).Seconds(), err
}

// bare measures the network alone, on pixels that are ready, in images/s.
func (n *network) bare(ctx context.Context, batches int) (float64, error) {
	src, dst := make([]uint8, batch*3*n.transform.Geometry.Width*n.transform.Geometry.Height), make([]float32, batch*n.RowSize())
	for i := range src {
		src[i] = uint8(i * 2654435761 >> 16)
	}
	if err := n.Run(ctx, batch, src, dst); err != nil {
		return 0, err
	}
	start := time.Now()
	for range batches {
		if err := n.Run(ctx, batch, src, dst); err != nil {
			return 0, err
		}
	}
	return float64(batches*batch) / time.Since(start).Seconds(), nil
}

// decoding returns the CPU seconds of an image from bytes to pixels.
func decoding(ctx context.Context, data string, t featurize.Transform, images int) (float64, error) {
	listing, err := featurize.Source(ctx, data, featurize.SourceConfig{})
	if err != nil {
		return 0, err
	}
	d := pixels.NewDecoder(t.Decode)
	defer d.Close()
	var resampler pixels.Resampler
	var m pixels.Image
	var content []byte
	dst := make([]uint8, t.Geometry.Width*t.Geometry.Height*3)
	images = min(images, len(listing.Samples))
	start := cpu()
	for _, s := range listing.Samples[:images] {
		if content, err = s.Read(content[:0]); err != nil {
			return 0, err
		}
		if _, err := d.Decode(&m, content); err != nil {
			return 0, err
		}
		if err := resampler.Apply(dst, &m, t.Geometry); err != nil {
			return 0, err
		}
	}
	return (cpu() - start) / float64(images), nil
}

// cpu is the time that this process has had of all cores, in seconds.
func cpu() float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}

// limit compares the speed from 500x375 JPEGs to features of ResNet-50 with the
// limit that its parts set: 1/(1/B + p/cores) images/s, for B images/s of the network
// alone and p CPU seconds to decode an image.
func (b *bench) limit(ctx context.Context) error {
	const images = 256
	data, err := b.draw("photos", images, 500, 375)
	if err != nil {
		return err
	}
	n, err := b.open(ctx, "resnet50")
	if err != nil {
		return err
	}
	defer n.Close()
	var ratios, rates, limits, alone, decode []float64
	for range b.rounds {
		before, err := n.bare(ctx, 4)
		if err != nil {
			return err
		}
		p, err := decoding(ctx, data, n.transform, images/2)
		if err != nil {
			return err
		}
		whole, _, err := b.job(ctx, n, data, "npy")
		if err != nil {
			return err
		}
		after, err := n.bare(ctx, 4)
		if err != nil {
			return err
		}
		network := (before + after) / 2
		most := 1 / (1/network + p/float64(runtime.Cores()))
		rate := images / whole
		ratios, rates, limits = append(ratios, rate/most), append(rates, rate), append(limits, most)
		alone, decode = append(alone, network), append(decode, p)
	}
	b.rows = append(b.rows, row{"ResNet-50 on 500x375 JPEGs, files to features", fmt.Sprintf("%.1f images/s", median(rates)), fmt.Sprintf("%.1f, the limit", median(limits)), median(ratios), ">= 0.97"})
	b.notes = append(b.notes, fmt.Sprintf("  ResNet-50: network alone %.1f images/s, decoding %.2f ms of a core an image; ratios %.3f", median(alone), 1000*median(decode), ratios))
	return nil
}
