package finetune

import (
	"context"

	"github.com/robust-transfer/rtx/finetune/graph"
)

// Executor runs programs and keeps the variables that they share: weights,
// statistics, moments. A variable exists, initially as zeros, from the first program
// or Write that names it. Slices belong to the caller; values are copied. An
// executor is used by one goroutine at a time.
type Executor interface {
	// Run computes a program's outputs from its inputs, by name, and then applies its
	// updates to the variables. After an error the variables that the program updates
	// are undefined. out may name some of the outputs only.
	Run(ctx context.Context, p *graph.Program, in, out map[string][]float32) error

	// Read and Write copy the values of a variable.
	Read(v graph.Variable, dst []float32) error
	Write(v graph.Variable, src []float32) error

	Close() error
}

// Load writes the model's weights and statistics to an executor's variables.
func Load(net *graph.Network, x Executor) error {
	for _, p := range net.Params() {
		values, err := net.Values(p.Name)
		if err != nil {
			return err
		}
		if err := x.Write(graph.Variable{Name: p.Name}, values); err != nil {
			return err
		}
	}
	return nil
}
