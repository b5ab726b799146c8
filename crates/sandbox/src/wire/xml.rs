//! XML documents as trees that can be changed and written back.

use quick_xml::Reader;
use quick_xml::escape::escape;
use quick_xml::events::{BytesRef, BytesStart, Event};
use thiserror::Error;

/// Why a document cannot be read.
#[derive(Debug, Error)]
pub(crate) enum XmlError {
    #[error("it is not UTF-8: {0}")]
    NotUtf8(#[from] std::str::Utf8Error),
    #[error("it is not well-formed: {0}")]
    NotWellFormed(#[from] quick_xml::Error),
    #[error("it ends before its elements do, or has no element at all")]
    Unbalanced,
}

/// An element and its contents.
///
/// AWS's documents have no mixed content: an element holds elements or text. White space between elements is dropped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Element {
    name: String,
    /// As written, with the space before them: no rule reads them.
    attributes: String,
    text: String,
    children: Vec<Element>,
}

impl Element {
    pub(crate) fn new(name: &str) -> Self {
        Self { name: name.to_owned(), attributes: String::new(), text: String::new(), children: Vec::new() }
    }

    pub(crate) fn with_text(name: &str, text: &str) -> Self {
        Self { text: text.to_owned(), ..Self::new(name) }
    }

    pub(crate) fn with_children(name: &str, children: Vec<Self>) -> Self {
        Self { children, ..Self::new(name) }
    }

    pub(crate) fn parse(document: &[u8]) -> Result<Self, XmlError> {
        let mut reader = Reader::from_str(std::str::from_utf8(document)?);
        let mut open: Vec<Self> = Vec::new();
        loop {
            let closed = match reader.read_event()? {
                Event::Start(start) => {
                    open.push(Self::begin(&start));
                    continue;
                }
                Event::Empty(start) => Self::begin(&start),
                Event::End(_) => {
                    let mut element = open.pop().ok_or(XmlError::Unbalanced)?;
                    if !element.children.is_empty() {
                        element.text.clear();
                    }
                    element
                }
                Event::Text(text) => {
                    if let Some(element) = open.last_mut() {
                        element.text.push_str(&text);
                    }
                    continue;
                }
                Event::CData(text) => {
                    if let Some(element) = open.last_mut() {
                        element.text.push_str(&text);
                    }
                    continue;
                }
                Event::GeneralRef(reference) => {
                    let character = resolve(&reference)?;
                    if let Some(element) = open.last_mut() {
                        element.text.push_str(&character);
                    }
                    continue;
                }
                Event::Eof => return Err(XmlError::Unbalanced),
                Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => continue,
            };
            match open.last_mut() {
                Some(parent) => parent.children.push(closed),
                None => return Ok(closed),
            }
        }
    }

    fn begin(start: &BytesStart<'_>) -> Self {
        let mut element = Self::new(start.name().into_inner());
        start.attributes_raw().trim_end().clone_into(&mut element.attributes);
        element
    }

    pub(crate) fn to_document(&self) -> String {
        let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
        self.write(&mut text);
        text
    }

    fn write(&self, into: &mut String) {
        into.push('<');
        into.push_str(&self.name);
        into.push_str(&self.attributes);
        if self.children.is_empty() && self.text.is_empty() {
            into.push_str("/>");
            return;
        }
        into.push('>');
        into.push_str(&escape(self.text.as_str()));
        for child in &self.children {
            child.write(into);
        }
        into.push_str("</");
        into.push_str(&self.name);
        into.push('>');
    }

    /// The text of an element that holds no elements, trimmed.
    pub(crate) fn text(&self) -> &str {
        self.text.trim()
    }

    pub(crate) fn children(&self) -> &[Self] {
        &self.children
    }

    /// Whether it holds no elements.
    pub(crate) fn is_leaf(&self) -> bool {
        self.children.is_empty()
    }

    pub(crate) fn set_attributes(&mut self, attributes: &str) {
        attributes.clone_into(&mut self.attributes);
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn is_named(&self, name: &str) -> bool {
        self.name == name
    }

    /// The same element under another name.
    pub(crate) fn renamed(&self, name: &str) -> Self {
        Self { name: name.to_owned(), ..self.clone() }
    }

    pub(crate) fn children_mut(&mut self) -> &mut Vec<Self> {
        &mut self.children
    }

    pub(crate) fn push(&mut self, child: Self) {
        self.text.clear();
        self.children.push(child);
    }

    pub(crate) fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }

    pub(crate) fn child_mut(&mut self, name: &str) -> Option<&mut Self> {
        self.children.iter_mut().find(|child| child.name == name)
    }

    /// The child of this name, created if there is none.
    pub(crate) fn child_or_new(&mut self, name: &str) -> &mut Self {
        let at = self.children.iter().position(|child| child.name == name).unwrap_or_else(|| {
            self.push(Self::new(name));
            self.children.len() - 1
        });
        &mut self.children[at]
    }

    /// The text of a child; `None` if there is no such child.
    pub(crate) fn text_of(&self, name: &str) -> Option<&str> {
        self.child(name).map(Self::text)
    }

    /// Sets the text of a child, which is created if there is none. Returns whether that changed anything.
    pub(crate) fn set_text_of(&mut self, name: &str, text: &str) -> bool {
        if self.text_of(name) == Some(text) {
            return false;
        }
        let child = self.child_or_new(name);
        child.children.clear();
        text.clone_into(&mut child.text);
        true
    }

    /// Replaces the child of the same name, or adds `child` at the end.
    pub(crate) fn replace(&mut self, child: Self) {
        match self.children.iter_mut().find(|old| old.name == child.name) {
            Some(old) => *old = child,
            None => self.push(child),
        }
    }

    /// Every element at this path of names.
    pub(crate) fn at<'a>(&'a self, path: &[&str]) -> Vec<&'a Self> {
        path.iter().fold(vec![self], |found, name| {
            found.into_iter().flat_map(|element| element.children.iter().filter(|child| child.name == *name)).collect()
        })
    }
}

fn resolve(reference: &BytesRef<'_>) -> Result<String, XmlError> {
    if let Some(character) = reference.resolve_char_ref()? {
        return Ok(character.to_string());
    }
    let name: &str = reference;
    Ok(match name {
        "lt" => "<".to_owned(),
        "gt" => ">".to_owned(),
        "amp" => "&".to_owned(),
        "quot" => "\"".to_owned(),
        "apos" => "'".to_owned(),
        // Without a document type there are no other entities. Kept readable, in case an emulator invents one.
        other => format!("&{other};"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    type TestResult = Result<(), XmlError>;

    const DOCUMENT: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<DescribeVpcsResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">
    <vpcSet><item>
        <vpcId>vpc-1</vpcId>
        <state>available</state>
        <tagSet><item><key>a&amp;b</key><value>&lt;&#233;&gt;</value></item></tagSet>
    </item></vpcSet>
    <empty/>
</DescribeVpcsResponse>"#;

    #[test]
    fn documents_are_parsed_and_written_back() -> TestResult {
        let root = Element::parse(DOCUMENT.as_bytes())?;
        assert_eq!(root.at(&["vpcSet", "item", "vpcId"]).first().map(|id| id.text()), Some("vpc-1"));
        assert_eq!(root.at(&["vpcSet", "item", "tagSet", "item", "key"]).first().map(|id| id.text()), Some("a&b"));
        let written = root.to_document();
        assert!(written.contains(r#"<DescribeVpcsResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">"#));
        assert!(written.contains("<key>a&amp;b</key><value>&lt;é&gt;</value>"), "{written}");
        assert!(written.contains("<empty/>"));
        assert_eq!(Element::parse(written.as_bytes())?, root);
        Ok(())
    }

    #[test]
    fn texts_and_items_are_changed() -> TestResult {
        let mut root = Element::parse(DOCUMENT.as_bytes())?;
        let Some(set) = root.child_mut("vpcSet") else { return Err(XmlError::Unbalanced) };
        assert!(set.children_mut()[0].set_text_of("state", "pending"));
        assert!(!set.children_mut()[0].set_text_of("state", "pending"));
        assert!(set.children_mut()[0].set_text_of("new", "<"));
        set.push(Element::with_children("item", vec![Element::with_text("vpcId", "vpc-2")]));
        let written = root.to_document();
        assert!(written.contains("<state>pending</state>") && written.contains("<new>&lt;</new>"), "{written}");
        assert!(written.contains("</item><item><vpcId>vpc-2</vpcId></item></vpcSet>"), "{written}");
        Ok(())
    }

    #[test]
    fn children_are_replaced_and_created() -> TestResult {
        let mut root = Element::parse(b"<a><set/></a>")?;
        root.replace(Element::with_text("set", "full"));
        root.replace(Element::with_text("other", "x"));
        root.child_or_new("deep").push(Element::new("leaf"));
        assert!(root.to_document().ends_with("<a><set>full</set><other>x</other><deep><leaf/></deep></a>"));
        Ok(())
    }

    #[test]
    fn broken_documents_are_refused() {
        for broken in ["", "text", "<a>", "<a><b></a>", "<a", "</a>"] {
            assert!(Element::parse(broken.as_bytes()).is_err(), "{broken:?} was read");
        }
        assert!(Element::parse(b"<a>\xff</a>").is_err());
    }
}
