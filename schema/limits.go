package schema

// Bounds on an input. They are far above the largest public API repositories
// (about 7,200 files, 67 MB) and exist so that no input eats time or memory
// without end.
const (
	maxFiles         = 100_000
	maxFileBytes     = 16 << 20  // one .proto file
	maxTotalBytes    = 1 << 30   // all .proto files of one input
	maxImageBytes    = 256 << 20 // a descriptor set, decompressed
	maxManifestBytes = 1 << 20
	maxNesting       = 64        // brackets of any kind in one .proto file; descriptors nested in a set
	maxEntries       = 2_000_000 // directory entries visited
	maxGitOutput     = 256 << 20 // a list of files
	maxDirDepth      = 64
	maxProblems      = 100  // given of one compilation
	maxNameBytes     = 2048 // a full name
)
