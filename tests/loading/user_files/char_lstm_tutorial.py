# ruff: noqa
# expect: model LSTMTagger
# expect: batches 3
# expect: argument [8] int64
# expect: target [8] int64
# expect: loss loss_function is nll (found: loss_function)
# expect: assumed no data was found: `sentence` is made up, random integers below 9 of shape [8], shaped for `word_embeddings`
# expect: assumed no target was found: targets are made up, random classes
import torch
import torch.nn.functional as F
from torch import nn


class LSTMTagger(nn.Module):
    def __init__(self, embedding_dim=6, hidden_dim=6, vocab_size=9, tagset_size=3):
        super().__init__()
        self.hidden_dim = hidden_dim
        self.word_embeddings = nn.Embedding(vocab_size, embedding_dim)
        self.lstm = nn.LSTM(embedding_dim, hidden_dim)
        self.hidden2tag = nn.Linear(hidden_dim, tagset_size)

    def forward(self, sentence):
        embeds = self.word_embeddings(sentence)
        lstm_out, _ = self.lstm(embeds.view(len(sentence), 1, -1))
        tag_space = self.hidden2tag(lstm_out.view(len(sentence), -1))
        return F.log_softmax(tag_space, dim=1)


model = LSTMTagger()
loss_function = nn.NLLLoss()
