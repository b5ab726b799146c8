//! `properties::config` with what libFuzzer makes up.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| drctl_fuzz_properties::config(input));
