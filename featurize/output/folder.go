package output

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
)

var (
	// ErrConfig says that a folder holds something other than what was asked for.
	ErrConfig = errors.New("output holds another configuration")
	// ErrNoFolder says that a folder has the name of a file.
	ErrNoFolder = errors.New("the output is a file, expected a folder")
	// ErrInput says that overwriting a folder would remove a file that the job reads.
	ErrInput = errors.New("overwriting would remove what is to be read")
	// ErrLocked says that another process is writing to the same folder or file.
	ErrLocked = errors.New("output is being written by another process")
)

// Layout says what folders of one kind consist of. Names are relative to the
// folder; those of Parts and Beside may be patterns of [path.Match].
type Layout struct {
	Kind  string // what such a folder holds, as errors call it: "feature set"
	State string // the folder of the state; "": .rtx

	// Files are the results, in the order in which Put moves them to their places.
	// The last one is the mark.
	Files []string
	// Parts are folders of results that have a state of their own. Overwriting
	// removes them with the rest.
	Parts []string
	// Working are files of the state that only an unfinished job needs. Put removes
	// them when the results are in place.
	Working []string
	// Beside may lie in a folder before a job begins there, except under the name of
	// a result.
	Beside []string
}

// Folder is an output folder that this process has locked.
type Folder struct {
	dir    string
	layout Layout
	lock   *os.File
	record *record  // what the folder was begun with; nil in a new one
	inputs []string // files that overwriting must not remove
	made   []string // the folders that were not there before, the deepest first
}

// Open locks a folder, which it makes where there is none, and completes a Put
// that was cut off. The error is ErrLocked where another process has the folder
// open. Unless Begin follows, Close removes what Open has made.
func Open(dir string, l Layout) (*Folder, error) {
	f := &Folder{dir: dir, layout: l.defaults(), made: missing(dir)}
	info, err := os.Stat(dir)
	if err == nil && !info.IsDir() {
		return nil, fmt.Errorf("output %q: %w", dir, ErrNoFolder)
	}
	if f.lock, err = lock(f.State("lock")); err != nil {
		return nil, fmt.Errorf("output %q: %w", dir, err)
	}
	f.record, err = readRecord(f.State(recordName))
	if err == nil && f.record != nil && f.record.Kind == l.Kind {
		if err = f.commit(); err == nil {
			err = os.RemoveAll(f.State("next"))
		}
	}
	if err != nil {
		f.lock.Close()
		return nil, fmt.Errorf("output %q: %w", dir, err)
	}
	return f, nil
}

// missing are a folder and those that it lies in, as far as they do not exist.
func missing(dir string) (all []string) {
	for dir = filepath.Clean(dir); ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
			return all
		}
		all = append(all, dir)
	}
}

// Path is a file of the folder.
func (f *Folder) Path(name ...string) string {
	return filepath.Join(append([]string{f.dir}, name...)...)
}

// State is a file of the folder's state.
func (f *Folder) State(name ...string) string {
	return filepath.Join(append([]string{f.dir, f.layout.State}, name...)...)
}

// OpenState opens a file of the state to be read and written, and creates it where it is
// not there, such as a journal of what a job has done.
func (f *Folder) OpenState(name ...string) (*os.File, error) {
	file, err := os.OpenFile(f.State(name...), os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return nil, fmt.Errorf("output: %w", err)
	}
	return file, nil
}

// Done reports whether the folder is finished: whether its mark is there.
func (f *Folder) Done() bool {
	_, err := os.Stat(f.Path(f.mark()))
	return err == nil
}

func (f *Folder) mark() string { return f.layout.Files[len(f.layout.Files)-1] }

// Keep names files that the job reads, "" for none: Begin refuses to overwrite a
// folder where that would remove one of them, with ErrInput.
func (f *Folder) Keep(inputs ...string) { f.inputs = append(f.inputs, inputs...) }

// Begin goes on with a folder that was begun with the same settings, and records
// the settings in a new one. A folder that holds anything else is ErrConfig, or
// starts over when overwriting, which it also does where the settings are the
// same.
func (f *Folder) Begin(settings any, overwrite bool) error {
	if !overwrite {
		if begun, err := f.Compare(settings); begun || err != nil {
			return err
		}
	}
	if err := f.checkInputs(); err != nil {
		return fmt.Errorf("output %q: %w", f.dir, err)
	}
	if err := f.clear(); err != nil {
		return fmt.Errorf("output %q: overwrite: %w", f.dir, err)
	}
	r, err := newRecord(f.layout.Kind, settings)
	if err != nil {
		return err
	}
	f.record = r
	return r.write(f.State(recordName))
}

// Compare reports whether the folder was begun with these settings; false stands
// for a new folder. Where it holds anything else the error is ErrConfig and tells
// what that is. Settings are nil while they are not known: then only another kind
// of folder is refused.
func (f *Folder) Compare(settings any) (begun bool, err error) {
	now := &record{Kind: f.layout.Kind}
	if settings != nil {
		if now, err = newRecord(f.layout.Kind, settings); err != nil {
			return false, err
		}
	}
	reason := ""
	switch there := f.record; {
	case there == nil:
		reason, err = f.foreign()
	case there.Version != recordVersion:
		reason = "what it holds was made by another version of rtx, which recorded its settings in another form"
	case there.damage != nil:
		reason = fmt.Sprintf("%s is damaged: %v", recordName, there.damage)
	case there.Kind != now.Kind:
		reason = fmt.Sprintf("it holds no %s (it is of the kind %q)", now.Kind, there.Kind)
	case settings != nil && there.Key != now.Key:
		reason = difference(there.Settings, now.Settings)
	}
	switch {
	case err != nil:
		return false, fmt.Errorf("output %q: %w", f.dir, err)
	case reason != "":
		return false, fmt.Errorf("output %q: %s: %w", f.dir, reason, ErrConfig)
	}
	return f.record != nil, nil
}

// foreign says what lies in a folder without a record.
func (f *Folder) foreign() (string, error) {
	if f.Done() {
		return fmt.Sprintf("it has %q but no record of the settings it was made with: it is of another kind, or of earlier versions of rtx", f.mark()), nil
	}
	entries, err := os.ReadDir(f.dir)
	for _, e := range entries {
		if e.Name() == f.layout.State {
			continue
		}
		if slices.Contains(f.layout.Files, e.Name()) || !matches(f.layout.Beside, e.Name()) {
			return fmt.Sprintf("it is not empty and holds no %s (it has %q)", f.layout.Kind, e.Name()), nil
		}
	}
	return "", err
}

func matches(patterns []string, name string) bool {
	for _, p := range patterns {
		if ok, _ := path.Match(p, name); ok {
			return true
		}
	}
	return false
}

// clear removes the results and the state.
func (f *Folder) clear() error {
	f.record = nil
	names, err := f.belongings()
	for _, name := range names {
		err = errors.Join(err, os.RemoveAll(name))
	}
	return err
}

// checkInputs is ErrInput where clear would remove an input.
func (f *Folder) checkInputs() error {
	names, err := f.belongings()
	if err != nil {
		return err
	}
	for _, input := range f.inputs {
		for _, name := range names {
			if input != "" && holds(name, input) {
				return fmt.Errorf("%q: %w", input, ErrInput)
			}
		}
	}
	return nil
}

// holds reports whether a file is the named one, or lies in the named folder.
func holds(name, file string) bool {
	at, err := os.Stat(name)
	if err != nil {
		return false
	}
	if real, err := filepath.EvalSymlinks(file); err == nil {
		file = real
	}
	file, err = filepath.Abs(file)
	for err == nil {
		if info, err := os.Stat(file); err == nil && os.SameFile(info, at) {
			return true
		}
		if file == filepath.Dir(file) {
			break
		}
		file = filepath.Dir(file)
	}
	return false
}

// belongings are what overwriting removes. The record comes first: without it
// nothing that a kill leaves of the rest is taken for a result.
func (f *Folder) belongings() ([]string, error) {
	all := []string{f.State(recordName), f.Path(f.mark())}
	for _, name := range f.layout.Files {
		all = append(all, f.Path(name))
	}
	for _, pattern := range f.layout.Parts {
		states, _ := fs.Glob(os.DirFS(f.dir), path.Join(pattern, f.layout.State))
		for _, state := range states {
			all = append(all, f.Path(path.Dir(state)))
		}
	}
	entries, err := os.ReadDir(f.State())
	for _, e := range entries {
		if e.Name() != "lock" {
			all = append(all, f.State(e.Name()))
		}
	}
	return all, err
}

// Close unlocks the folder. If it was not begun, Close also removes what Open has
// made, as far as nothing was put into it.
func (f *Folder) Close() error {
	if f.record == nil {
		os.Remove(f.lock.Name())
		os.Remove(f.State())
		for _, dir := range f.made {
			os.Remove(dir)
		}
	}
	return f.lock.Close()
}

func (l Layout) defaults() Layout {
	if l.State == "" {
		l.State = ".rtx"
	}
	return l
}
