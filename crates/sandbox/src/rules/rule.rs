//! What a rule is: a step between the SDK and the emulator.

use futures::FutureExt;
use futures::future::BoxFuture;

use crate::wire::answer::Answer;
use crate::wire::call::Call;

/// One way in which AWS differs from an emulator.
///
/// A rule wraps everything after it. It can answer by itself, wait, change what is forwarded, read or rewrite the
/// answer, or ask the emulator something of its own. Later rules see what earlier rules forward, and earlier rules see
/// what later rules answer.
pub(crate) trait Rule: Send + Sync {
    /// Answers `call`, usually with the help of `next`.
    fn apply<'a>(&'a self, call: &'a mut Call, next: Next<'a>) -> BoxFuture<'a, Answer>;

    /// Forgets everything, since "AWS" has been emptied.
    fn reset(&self);

    /// How often it has changed an answer, for the rules that are counted: the surprises.
    fn count(&self) -> u64 {
        0
    }
}

/// Answers the calls that no rule answers.
pub(crate) trait Origin: Send + Sync {
    /// Answers `call`. If the emulator cannot be reached, the answer says so.
    fn answer<'a>(&'a self, call: &'a Call) -> BoxFuture<'a, Answer>;
}

/// Everything after a rule: the remaining rules and the emulator.
#[derive(Clone, Copy)]
pub(crate) struct Next<'a> {
    rules: &'a [Box<dyn Rule>],
    origin: &'a dyn Origin,
}

impl<'a> Next<'a> {
    pub(crate) fn new(rules: &'a [Box<dyn Rule>], origin: &'a dyn Origin) -> Self {
        Self { rules, origin }
    }

    pub(crate) fn run<'b>(self, call: &'b mut Call) -> BoxFuture<'b, Answer>
    where
        'a: 'b,
    {
        match self.rules.split_first() {
            Some((rule, rest)) => rule.apply(call, Next { rules: rest, origin: self.origin }),
            None => self.origin.answer(call),
        }
    }
}

/// A rule that refuses some calls, passes the others on unchanged, and remembers nothing.
///
/// Its function returns the refusal as `Err`.
pub(crate) struct Check(pub(crate) for<'a> fn(&'a Call, Next<'a>) -> BoxFuture<'a, Result<(), Answer>>);

impl Rule for Check {
    fn apply<'a>(&'a self, call: &'a mut Call, next: Next<'a>) -> BoxFuture<'a, Answer> {
        async move {
            match (self.0)(call, next).await {
                Ok(()) => next.run(call).await,
                Err(refusal) => refusal,
            }
        }
        .boxed()
    }

    fn reset(&self) {}
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::Mutex;

    use bytes::Bytes;
    use http::{HeaderMap, StatusCode};

    use super::*;
    use crate::sync::lock;
    use crate::wire::call::tests::ec2;

    /// An emulator that answers as the test says, and records the bodies of the calls that it receives.
    pub(crate) struct Scripted {
        script: Box<dyn Fn(&Call) -> Answer + Send + Sync>,
        asked: Mutex<Vec<String>>,
    }

    impl Scripted {
        pub(crate) fn new(script: impl Fn(&Call) -> Answer + Send + Sync + 'static) -> Self {
            Self { script: Box::new(script), asked: Mutex::new(Vec::new()) }
        }

        /// One that answers every call with this XML document.
        pub(crate) fn xml(document: &str) -> Self {
            let document = document.to_owned();
            Self::new(move |_| ok(&document))
        }

        pub(crate) fn asked(&self) -> Vec<String> {
            lock(&self.asked).clone()
        }
    }

    impl Origin for Scripted {
        fn answer<'a>(&'a self, call: &'a Call) -> BoxFuture<'a, Answer> {
            lock(&self.asked).push(String::from_utf8_lossy(call.body()).into_owned());
            let answer = (self.script)(call);
            async move { answer }.boxed()
        }
    }

    /// A successful answer with this body.
    pub(crate) fn ok(body: &str) -> Answer {
        Answer::new(StatusCode::OK, HeaderMap::new(), Bytes::from(body.to_owned()))
    }

    pub(crate) fn text(answer: &Answer) -> String {
        String::from_utf8_lossy(answer.body()).into_owned()
    }

    /// Appends its text to the answer.
    struct Append(&'static str);

    impl Rule for Append {
        fn apply<'a>(&'a self, call: &'a mut Call, next: Next<'a>) -> BoxFuture<'a, Answer> {
            async move {
                let mut answer = next.run(call).await;
                answer.set_body(format!("{}{}", text(&answer), self.0));
                answer
            }
            .boxed()
        }

        fn reset(&self) {}
    }

    #[tokio::test]
    async fn the_first_rule_wraps_the_others() {
        let rules: Vec<Box<dyn Rule>> = vec![Box::new(Append("outer")), Box::new(Append("inner "))];
        let origin = Scripted::xml("origin ");
        let mut call = ec2("111122223333", "us-east-1", "Action=DescribeVpcs");
        let answer = Next::new(&rules, &origin).run(&mut call).await;
        assert_eq!(text(&answer), "origin inner outer");
        assert_eq!(origin.asked(), ["Action=DescribeVpcs"]);
    }
}
