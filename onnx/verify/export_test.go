package verify

// Read compares a stream with a model.
var Read = read
