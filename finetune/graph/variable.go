package graph

import "fmt"

// Slot says how a variable relates to the parameter whose name it has.
type Slot uint8

// The slots.
const (
	Parameter    Slot = iota // the parameter itself: a weight or a running statistic
	FirstMoment              // momentum of SGD, first moment of AdamW
	SecondMoment             // second moment of AdamW
	Average                  // exponential moving average of the parameter
	Carried                  // not of a parameter: a value that one program computes and another reads in the same step; not saved in checkpoints
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

// Variable identifies a tensor that executors keep between runs by the name of a
// parameter and a slot. The slot alone tells the parameter from the optimizer's
// tensors for it, since a model may choose any names.
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

// Update makes the value of a node the next value of a variable.
type Update struct {
	Variable
	Node int
}

func (u Update) String() string { return fmt.Sprintf("{%s %d}", u.Variable, u.Node) }

// Next is the next value of a variable, in a graph under construction.
type Next struct {
	Variable
	Value Value
}

// Named is an output of a graph under construction.
type Named struct {
	Name  string
	Value Value
}
