package cli

import (
	"context"
	"io"
	"path/filepath"
	"strings"

	cli "github.com/urfave/cli/v2"

	"github.com/robust-transfer/rtx/featurize/output"
	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/usage"
)

// useFile is the script in output folders that uses their model.
const useFile = "use.py"

func useFlag() cli.Flag {
	return text("use", "", "write the lines of Python that use the model to this `FILE`")
}

// script is the Python that uses a model which a verb writes, and the file that
// --use names for it, "" for none.
type script struct {
	to    target
	model string // the file that the verb writes
	code  string
}

// newScript makes the script for the model that will be in the file of out. The
// target has that file, and what the verb reads, as inputs.
func newScript(flag, file string, m *onnx.Model, out target) (*script, error) {
	s := &script{to: target{flag, file, out.overwrite, append([]string{out.name}, out.inputs...)}, model: out.name}
	if isCore(m) {
		if file != "" {
			return nil, &usageError{msg: "--" + flag + " means nothing for this detector: what chooses boxes is not in its graph"}
		}
		return s, nil
	}
	name := s.model
	if file != "" {
		name = relative(filepath.Dir(file), s.model)
	}
	var err error
	if s.code, err = usage.Python(m, name); err != nil || file == "" || s.to.holds(output.Bytes([]byte(s.code))) {
		return s, err
	}
	return s, s.to.check()
}

// relative is a file as seen from a folder; an absolute path where it is not known
// how they lie to each other.
func relative(dir, file string) string {
	to, err1 := filepath.Abs(file)
	from, err2 := filepath.Abs(dir)
	if err1 != nil || err2 != nil {
		return file
	}
	if rel, err := filepath.Rel(from, to); err == nil {
		return filepath.ToSlash(rel)
	}
	return to
}

// write makes the file of --use, where one is named.
func (s *script) write(ctx context.Context) error {
	write := output.Bytes([]byte(s.code))
	if s.to.name == "" || s.to.holds(write) {
		return nil
	}
	return s.to.write(ctx, write)
}

// tell prints the lines for people, or where they are.
func (s *script) tell(e *env) {
	if s.to.name != "" {
		e.note("python3 %s IMAGE... uses it without rtx", quoted(s.to.name))
		return
	}
	if e.json || e.quiet || s.code == "" {
		return
	}
	e.note("these lines of Python use it without rtx; --use FILE writes them:")
	for line := range strings.Lines(s.code) {
		io.WriteString(e.stderr, "    "+line)
	}
}

// fields are what --json says of it.
func (s *script) fields() object { return object{{"python", s.code}} }

// useContent is use.py in an output folder, for the model that is in the named file
// of the same folder.
func useContent(m *onnx.Model, file string) (output.Content, error) {
	code, err := usage.Python(m, file)
	return output.Content{Name: useFile, Write: output.Bytes([]byte(code))}, err
}
