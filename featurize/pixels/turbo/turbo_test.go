package turbo

import (
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// TestVersion wants the library's own version, which djpeg of the same package
// prints, and not that of its interface, which the name of its file ends with.
func TestVersion(t *testing.T) {
	for text, want := range map[string]string{
		"\x00libjpeg-turbo version 2.1.5 (build 20230203)\x00": "2.1.5", "\x00libjpeg-turbo version 3.0.90\x00": "3.0.90", "libjpeg version": "",
	} {
		if got := versionIn([]byte(text)); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
	version, ok := Version()
	if !ok {
		t.Skip("libjpeg-turbo is not installed")
	}
	if !regexp.MustCompile(`^[1-9][0-9]*\.[0-9]+`).MatchString(version) {
		t.Errorf("version %q", version)
	}
	if i, ok := Interface(); !ok || i == version {
		t.Errorf("interface %q, version %q", i, version)
	}
	said, err := exec.Command("djpeg", "-version").CombinedOutput()
	if err != nil {
		t.Skip("djpeg of libjpeg-turbo is not installed")
	}
	if !strings.Contains(string(said), "libjpeg-turbo version "+version+" ") {
		t.Errorf("version %q, djpeg says %.80q", version, said)
	}
}
