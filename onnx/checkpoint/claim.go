package checkpoint

import "fmt"

// Claim is what a file is said to be, by a catalogue for instance. A field of
// value zero claims nothing.
type Claim struct {
	Name    string  // for errors
	Arch    string  // one of arch.Names
	Classes int     // number of logits
	Norm    string  // "l2" or "linf": the adversary that the weights were trained against
	Eps     float64 // its radius, in units of [0,1] pixels; 0 is standard training
}

// ClaimError is the error of a file that is not what it is said to be.
type ClaimError struct {
	Claim   Claim
	Arch    string // what the file holds
	Classes int
}

func (e *ClaimError) Error() string {
	if e.otherArch() {
		return fmt.Sprintf("%s should be a %s, and the file holds a %s", e.Claim.Name, e.Claim.Arch, e.Arch)
	}
	return fmt.Sprintf("%s should have %d classes, and the file has %d", e.Claim.Name, e.Claim.Classes, e.Classes)
}

func (e *ClaimError) otherArch() bool {
	return e.Claim.Arch != "" && e.Arch != "" && e.Claim.Arch != e.Arch
}

// Check compares a claim with the architecture and number of classes that were
// found, "" and 0 where they are not known. A difference is a [*ClaimError].
func (c Claim) Check(arch string, classes int) error {
	e := &ClaimError{c, arch, classes}
	if e.otherArch() || c.Classes != 0 && classes != 0 && classes != c.Classes {
		return e
	}
	return nil
}
