// SPDX-License-Identifier: Apache-2.0

// One call: code at the top level belongs to the main actor, and nothing of Atoll should.
CommandLineProgram.main()
