//! `application/x-www-form-urlencoded`, the format in which the query protocols write parameters.

/// The parameters of a call in the order in which they were sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Form {
    pairs: Vec<(String, String)>,
}

impl Form {
    pub(crate) fn parse(text: &[u8]) -> Self {
        let pairs = text
            .split(|&byte| byte == b'&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| match pair.iter().position(|&byte| byte == b'=') {
                Some(at) => (decode(&pair[..at]), decode(&pair[at + 1..])),
                None => (decode(pair), String::new()),
            })
            .collect();
        Self { pairs }
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn set(&mut self, name: &str, value: &str) {
        match self.pairs.iter_mut().find(|(key, _)| key == name) {
            Some((_, old)) => value.clone_into(old),
            None => self.pairs.push((name.to_owned(), value.to_owned())),
        }
    }

    pub(crate) fn pairs(&self) -> &[(String, String)] {
        &self.pairs
    }

    pub(crate) fn retain(&mut self, keep: impl Fn(&str) -> bool) {
        self.pairs.retain(|(key, _)| keep(key));
    }

    /// The values of `name.1`, `name.2`, …
    pub(crate) fn list(&self, name: &str) -> Vec<&str> {
        (1..).map_while(|index| self.get(&format!("{name}.{index}"))).collect()
    }

    pub(crate) fn encode(&self) -> String {
        let mut text = String::new();
        for (key, value) in &self.pairs {
            if !text.is_empty() {
                text.push('&');
            }
            encode(key, &mut text);
            text.push('=');
            encode(value, &mut text);
        }
        text
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for Form {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        Self { pairs: pairs.into_iter().map(|(key, value)| (key.into(), value.into())).collect() }
    }
}

/// Decodes percent-encoding. Invalid escapes are kept as they are, for the emulator to refuse.
pub(crate) fn decode(text: &[u8]) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        at += 1;
        match byte {
            b'+' => bytes.push(b' '),
            b'%' => match text.get(at..at + 2).and_then(hex_pair) {
                Some(decoded) => {
                    bytes.push(decoded);
                    at += 2;
                }
                None => bytes.push(b'%'),
            },
            other => bytes.push(other),
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

fn hex_pair(pair: &[u8]) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let &[high, low] = pair.first_chunk::<2>()?;
    u8::try_from(digit(high)? * 16 + digit(low)?).ok()
}

fn encode(text: &str, into: &mut String) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            into.push(char::from(byte));
        } else {
            into.push('%');
            into.push(char::from(DIGITS[usize::from(byte >> 4)]));
            into.push(char::from(DIGITS[usize::from(byte & 15)]));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_parsed() {
        let form = Form::parse(b"Action=DescribeVpcs&VpcId.1=vpc-1&VpcId.2=vpc-2&Name=a+b%2Fc%C3%A9&Empty=&Bare");
        assert_eq!(form.get("Action"), Some("DescribeVpcs"));
        assert_eq!(form.list("VpcId"), ["vpc-1", "vpc-2"]);
        assert_eq!(form.get("Name"), Some("a b/cé"));
        assert_eq!(form.get("Empty"), Some(""));
        assert_eq!(form.get("Bare"), Some(""));
        assert_eq!(form.get("None"), None);
    }

    #[test]
    fn invalid_escapes_are_kept() {
        assert_eq!(decode(b"100%"), "100%");
        assert_eq!(decode(b"%zz%4"), "%zz%4");
        assert_eq!(decode(b"%41%"), "A%");
    }

    #[test]
    fn an_encoded_form_is_parsed_back() {
        let form: Form = [("tag:a b", "ü&=+%"), ("plain", "x-y_z.~")].into_iter().collect();
        assert_eq!(Form::parse(form.encode().as_bytes()), form);
        assert_eq!(form.encode(), "tag%3Aa%20b=%C3%BC%26%3D%2B%25&plain=x-y_z.~");
    }

    #[test]
    fn set_replaces_or_adds() {
        let mut form = Form::parse(b"a=1&b=2");
        form.set("a", "3");
        form.set("c", "4");
        assert_eq!(form.encode(), "a=3&b=2&c=4");
    }
}
