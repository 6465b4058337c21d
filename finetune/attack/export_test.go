package attack

import "github.com/robust-transfer/rtx/finetune/graph"

// Program is the program of a loss, for tests.
func (a *Attacker) Program(l Loss, targeted bool) (*graph.Program, error) {
	return a.program(sized{kind{l, targeted}, a.options.Batch})
}

// Executor is the attacker's, for tests.
func (a *Attacker) Executor() Executor { return a.x }
