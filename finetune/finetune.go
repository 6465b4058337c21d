package finetune

import (
	"context"

	"github.com/robust-transfer/rtx/finetune/graph"
)

// Executor runs programs and keeps the variables that they share: weights,
// statistics, moments. A variable comes into being, as zeros, with the first
// program or Write that names it. Slices are the caller's; they are copied from
// and to. It is used by one goroutine at a time.
type Executor interface {
	// Run computes a program's outputs from its inputs, by name, and then makes
	// its updates the state. Outputs that are not asked for are not copied.
	Run(ctx context.Context, p *graph.Program, in, out map[string][]float32) error

	// Read and Write copy a variable.
	Read(v graph.Variable, dst []float32) error
	Write(v graph.Variable, src []float32) error

	Close() error
}
