package manifest

// Decode is decode, for tests from outside.
var Decode = decode
