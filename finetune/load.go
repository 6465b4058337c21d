package finetune

import (
	"errors"

	"github.com/robust-transfer/rtx/finetune/graph"
)

// ErrNoBatchNorm says that a network has no batch norm whose statistics could be
// re-estimated; folding them into the convolutions takes them away.
var ErrNoBatchNorm = errors.New("the model has no batch norms")

// Load makes the model's weights and statistics an executor's state.
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
