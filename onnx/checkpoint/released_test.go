package checkpoint

import "testing"

// TestReleasedEps asks for the epsilon of files by their digests.
func TestReleasedEps(t *testing.T) {
	for sum, zero := range map[string]bool{
		"258fb6c6" + "00": true, "bf2d0c1e" + "ff": true, "eeacb38b" + "12": true, "dd69338a" + "00": false, "": false, "00258fb6c6": false,
	} {
		c := &Checkpoint{sum: func() (string, error) { return sum, nil }}
		eps, err := c.releasedEps()
		if err != nil || (eps != nil) != zero || zero && *eps != 0 {
			t.Errorf("%q: %v, %v", sum, eps, err)
		}
	}
}
