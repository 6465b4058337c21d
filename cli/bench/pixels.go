package main

import (
	"context"
	_ "embed"
	"fmt"

	"github.com/robust-transfer/rtx/featurize"
	"github.com/robust-transfer/rtx/featurize/pixels"
)

//go:embed pixels.py
var pixelsScript string

// pixels compares decoding, resizing and cropping on one core with
// torchvision's.
func (b *bench) pixels(ctx context.Context) error {
	const images = 256
	data, err := b.draw("photos", images, 500, 375)
	if err != nil {
		return err
	}
	peer, err := b.peer(ctx, pixelsScript, "torchvision", data)
	if err != nil || peer == nil {
		return err
	}
	defer peer.close()
	t := featurize.Transform{Geometry: pixels.Geometry{Resize: 256, CropCenter: true, Width: 224, Height: 224}}
	var ratios, ours, theirs []float64
	for range b.rounds {
		rate, err := peer.turn()
		if err != nil {
			return err
		}
		p, err := decoding(ctx, data, t, images)
		if err != nil {
			return err
		}
		ratios, ours, theirs = append(ratios, 1/p/rate), append(ours, 1/p), append(theirs, rate)
	}
	b.rows = append(b.rows, row{"decode, resize and crop 500x375 JPEGs, one core", fmt.Sprintf("%.0f images/CPU-s", median(ours)), fmt.Sprintf("%.0f, torchvision", median(theirs)), median(ratios), ">= 1.1"})
	b.notes = append(b.notes, fmt.Sprintf("  pixels: ratios %.2f; %s", ratios, peer.about))
	return nil
}
