//! tantivy's view of the one tokenizer.

use std::borrow::Cow;

use logboom_event::token::{self, Tokens};
use tantivy::tokenizer::{Token, TokenStream, Tokenizer};

/// Its name in the schema: part of the on-disk format.
pub(crate) const TOKENIZER: &str = "logboom";

/// Keeps its token's memory from one text to the next.
#[derive(Debug, Clone, Default)]
pub(crate) struct Words {
    token: Token,
}

pub(crate) struct WordStream<'a> {
    words: Tokens<'a>,
    token: &'a mut Token,
}

impl Tokenizer for Words {
    type TokenStream<'a> = WordStream<'a>;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> WordStream<'a> {
        WordStream {
            words: token::tokens(text),
            token: &mut self.token,
        }
    }
}

impl TokenStream for WordStream<'_> {
    fn advance(&mut self) -> bool {
        let Some(word) = self.words.next() else {
            return false;
        };
        self.token.position = word.position;
        self.token.offset_from = word.offset_from;
        self.token.offset_to = word.offset_to;
        match word.text {
            Cow::Borrowed(text) => {
                self.token.text.clear();
                self.token.text.push_str(text);
            }
            Cow::Owned(text) => self.token.text = text,
        }
        true
    }

    fn token(&self) -> &Token {
        self.token
    }

    fn token_mut(&mut self) -> &mut Token {
        self.token
    }
}
