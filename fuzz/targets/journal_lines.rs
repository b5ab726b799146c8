//! Runs `journal_lines` of `drctl_fuzz_properties` with libFuzzer's inputs.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| drctl_fuzz_properties::journal_lines(input));
