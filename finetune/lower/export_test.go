package lower

import "github.com/robust-transfer/rtx/finetune/graph"

// Buffers is the number of buffers of a variable.
func (x *Executor) Buffers(v graph.Variable) int {
	switch s := x.state[v]; {
	case s == nil:
		return 0
	case s.next == nil:
		return 1
	}
	return 2
}
