package graph

import "fmt"

// Slot says what a state tensor is to the parameter whose name it bears.
type Slot uint8

// The slots.
const (
	Parameter    Slot = iota // the parameter itself: a weight or a running statistic
	FirstMoment              // momentum of SGD, first moment of AdamW
	SecondMoment             // second moment of AdamW
	Average                  // exponential moving average of the parameter
	Carried                  // of no parameter: what one program computes for another to read
)

var slotNames = [...]string{"parameter", "first_moment", "second_moment", "average", "carried"}

func (s Slot) String() string { return slotNames[s] }

// ParseSlot reads what Slot.String writes.
func ParseSlot(text string) (Slot, error) {
	for i, name := range slotNames {
		if name == text {
			return Slot(i), nil
		}
	}
	return 0, fmt.Errorf("graph: slot %q, expected one of %q", text, slotNames)
}

// Variable names a tensor that executors keep between runs. Names are those of
// parameters, which a model is free to choose: the slot, not the name, tells a
// parameter from what an optimizer keeps for it.
type Variable struct {
	Name string
	Slot Slot
}

func (v Variable) String() string {
	if v.Slot == Parameter {
		return v.Name
	}
	return fmt.Sprintf("%s of %s", v.Slot, v.Name)
}

// Update is the next value of a variable, the value of a node.
type Update struct {
	Variable
	Node int
}

func (u Update) String() string { return fmt.Sprintf("{%s %d}", u.Variable, u.Node) }

// Next is an update of a graph under construction.
type Next struct {
	Variable
	Value Value
}

// Named is an output of a graph under construction.
type Named struct {
	Name  string
	Value Value
}
