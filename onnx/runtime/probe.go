package runtime

/*
#cgo linux LDFLAGS: -ldl
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

// The head of OrtApiBase, which has been the same since the first release:
// two functions, of the API's version and of nothing.
typedef struct {
	const void *(*get_api)(uint32_t version);
	const char *(*get_version)(void);
} api_base;

enum { PROBE_OK, PROBE_NOT_LOADED, PROBE_OTHER };

// A file that is asked for an API it does not have says so on stderr; here the
// answer is enough, so the version is compared before it is asked.
static int probe(const char *path, char *version, size_t version_size, char *why, size_t why_size) {
	void *lib = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (lib == NULL) {
		snprintf(why, why_size, "%s", dlerror());
		return PROBE_NOT_LOADED;
	}
	const api_base *(*base)(void) = (const api_base *(*)(void))dlsym(lib, "OrtGetApiBase");
	const api_base *b = base == NULL ? NULL : base();
	if (b == NULL || b->get_version == NULL) {
		dlclose(lib);
		return PROBE_OTHER;
	}
	snprintf(version, version_size, "%s", b->get_version());
	return PROBE_OK; // left open: it is about to be used, or the process ends
}
*/
import "C"

import (
	"fmt"
	"strconv"
	"strings"
	"unsafe"
)

// minMinor is the oldest 1.x release that speaks the binding's C API, 24.
const minMinor = 24

// probe loads the library in a file and asks for its version.
func probe(path string) (version string, err error) {
	cpath := C.CString(path)
	defer C.free(unsafe.Pointer(cpath))
	var v [64]C.char
	var why [512]C.char
	switch C.probe(cpath, &v[0], 64, &why[0], 512) {
	case C.PROBE_NOT_LOADED:
		return "", fmt.Errorf("%q does not load: %s", path, C.GoString(&why[0]))
	case C.PROBE_OTHER:
		return "", fmt.Errorf("%q is not onnxruntime: it has no OrtGetApiBase", path)
	}
	version = C.GoString(&v[0])
	if !speaks(version) {
		return version, fmt.Errorf("%q is onnxruntime %s, expected 1.%d or newer", path, version, minMinor)
	}
	return version, nil
}

func speaks(version string) bool {
	parts := strings.SplitN(version, ".", 3)
	if len(parts) < 2 {
		return false
	}
	major, err1 := strconv.Atoi(parts[0])
	minor, err2 := strconv.Atoi(parts[1])
	return err1 == nil && err2 == nil && (major > 1 || major == 1 && minor >= minMinor)
}
