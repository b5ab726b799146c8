//! Runs `journal` of `drctl_fuzz_properties` with libFuzzer's inputs.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| drctl_fuzz_properties::journal(input));
