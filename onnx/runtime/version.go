package runtime

/*
#cgo linux LDFLAGS: -ldl
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

// The beginning of OrtApiBase, which has not changed since the first release: a
// function that returns the API of a version, and one that returns the library's
// version.
typedef struct {
	const void *(*get_api)(uint32_t version);
	const char *(*get_version)(void);
} api_base;

enum { VERSION_OK, VERSION_NOT_LOADED, VERSION_OTHER };

// A library that is asked for an API it does not have complains on stderr.
// Therefore its version is compared before it is asked for one.
static int library_version(const char *path, char *version, size_t version_size, char *why, size_t why_size) {
	void *lib = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (lib == NULL) {
		snprintf(why, why_size, "%s", dlerror());
		return VERSION_NOT_LOADED;
	}
	const api_base *(*base)(void) = (const api_base *(*)(void))dlsym(lib, "OrtGetApiBase");
	const api_base *b = base == NULL ? NULL : base();
	if (b == NULL || b->get_version == NULL) {
		dlclose(lib);
		return VERSION_OTHER;
	}
	snprintf(version, version_size, "%s", b->get_version());
	return VERSION_OK; // it stays open: it is used next, or the process ends
}
*/
import "C"

import (
	"fmt"
	"strconv"
	"strings"
	"unsafe"
)

// minMinor is the oldest release 1.x that has the binding's version of the C API,
// 24.
const minMinor = 24

// libraryVersion loads the library in a file and asks for its version.
func libraryVersion(path string) (version string, err error) {
	cpath := C.CString(path)
	defer C.free(unsafe.Pointer(cpath))
	var v [64]C.char
	var why [512]C.char
	switch C.library_version(cpath, &v[0], 64, &why[0], 512) {
	case C.VERSION_NOT_LOADED:
		return "", fmt.Errorf("%q does not load: %s", path, C.GoString(&why[0]))
	case C.VERSION_OTHER:
		return "", fmt.Errorf("%q is not onnxruntime: it has no OrtGetApiBase", path)
	}
	version = C.GoString(&v[0])
	if !supported(version) {
		return version, fmt.Errorf("%q is onnxruntime %s, expected 1.%d or newer", path, version, minMinor)
	}
	return version, nil
}

// supported tells whether the binding works with a version of the library.
func supported(version string) bool {
	parts := strings.SplitN(version, ".", 3)
	if len(parts) < 2 {
		return false
	}
	major, err1 := strconv.Atoi(parts[0])
	minor, err2 := strconv.Atoi(parts[1])
	return err1 == nil && err2 == nil && (major > 1 || major == 1 && minor >= minMinor)
}
