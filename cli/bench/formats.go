package main

import (
	"context"
	"fmt"
)

// small makes images of 32x32 for the smallest network, with which everything but
// the network takes the largest share of the time.
func (b *bench) small() (string, error) { return b.draw("small", 10000, 32, 32) }

// formats measures the time from the last image to the finished set, for npy and
// for parquet.
func (b *bench) formats(ctx context.Context) error {
	data, err := b.small()
	if err != nil {
		return err
	}
	n, err := b.open(ctx, "cifar_resnet20")
	if err != nil {
		return err
	}
	defer n.Close()
	for _, format := range []string{"npy", "parquet"} {
		var shares, wholes, ends []float64
		for range b.rounds {
			whole, after, err := b.job(ctx, n, data, format)
			if err != nil {
				return err
			}
			shares, wholes, ends = append(shares, after/whole), append(wholes, whole), append(ends, after)
		}
		b.rows = append(b.rows, row{"writing " + format + " of 10,000 rows, share of the total", fmt.Sprintf("%.0f ms", 1000*median(ends)), fmt.Sprintf("%.0f ms in all", 1000*median(wholes)), median(shares), ""})
	}
	return nil
}
